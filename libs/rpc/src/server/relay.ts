/**
 * Passes a unary call on to another address, bytes unchanged: fields that this version does not know survive both ways.
 * A relayed call is marked and not passed on again, so two standbys that point at each other make no loop.
 */
import type { Client, MethodDefinition } from '@grpc/grpc-js';
import { callUnary } from '../client/call.ts';
import { passedOnDeadlineMs } from '../deadline.ts';
import { RELAYED_KEY } from '../metadata.ts';
import type { CallContext } from './call-context.ts';

/** Bytes of messages that may have to be passed on; an entry lives as long as its message. */
const originals = new WeakMap<object, Buffer>();

/** The definition with messages that remember their bytes; for methods that may be relayed. */
export function keepBytes<Request, Response>(
  definition: MethodDefinition<Request, Response>,
): MethodDefinition<Request, Response> {
  return {
    ...definition,
    requestSerialize: original(definition.requestSerialize),
    requestDeserialize: remembering(definition.requestDeserialize),
    responseSerialize: original(definition.responseSerialize),
    responseDeserialize: remembering(definition.responseDeserialize),
  };
}

/** The other side's response to the same request. Rejects with its error. `definition` is one of keepBytes. */
export function relayUnary<Request, Response>(
  client: Client,
  definition: MethodDefinition<Request, Response>,
  request: Request,
  context: CallContext,
): Promise<Response> {
  const metadata = context.passOn();
  metadata.set(RELAYED_KEY, '1');
  return callUnary(client, definition, request, {
    deadlineMs: passedOnDeadlineMs(context.deadlineMs),
    signal: context.signal,
    metadata,
  });
}

function remembering<Message>(deserialize: (bytes: Buffer) => Message): (bytes: Buffer) => Message {
  return (bytes) => {
    const message = deserialize(bytes);
    if (typeof message === 'object' && message !== null) originals.set(message, bytes);
    return message;
  };
}

function original<Message>(serialize: (message: Message) => Buffer): (message: Message) => Buffer {
  return (message) => {
    const bytes = typeof message === 'object' && message !== null ? originals.get(message) : undefined;
    return bytes ?? serialize(message);
  };
}
