/**
 * Passes calls on to another address, bytes unchanged: fields that this version does not know survive both ways.
 * A relayed call is marked and not passed on again, so two instances that point at each other make no loop.
 */
import type { Client, Metadata, MethodDefinition } from '@grpc/grpc-js';
import { callUnary } from '../client/call.ts';
import { passedOnDeadlineMs } from '../deadline.ts';
import { RELAYED_KEY } from '../metadata.ts';
import type { CallContext } from './call-context.ts';

/** W3C trace context. */
const TRACE_KEYS = ['traceparent', 'tracestate'] as const;

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
  append = false,
): Promise<Response> {
  return callUnary(client, definition, request, {
    deadlineMs: passedOnDeadlineMs(context.deadlineMs),
    signal: context.signal,
    metadata: relayMetadata(context),
    append,
  });
}

/** True = the call was passed on by another instance already. */
export function isRelayed({ metadata }: CallContext): boolean {
  return metadata.get(RELAYED_KEY).length > 0;
}

/** Address that the caller comes from, also when its call was passed on. For people: a caller may claim any. */
export function callerPeer(context: CallContext): string {
  const [told] = context.metadata.get(RELAYED_KEY);
  return typeof told === 'string' && /^[0-9a-zA-Z.:[\]-]{1,64}$/.test(told) ? told : context.peer;
}

/** Metadata of a call that passes this one on: the caller's names, its trace, and the mark, which tells its address. */
export function relayMetadata(context: CallContext): Metadata {
  const metadata = context.passOn();
  metadata.set(RELAYED_KEY, context.peer === '' ? 'unknown' : context.peer);
  // With tracing on, the span of the passed-on call takes their place.
  for (const key of TRACE_KEYS) for (const value of context.metadata.get(key)) metadata.set(key, value);
  return metadata;
}

/** A message that nobody reads here: only its bytes. Encode it with a definition of keepBytes. */
export function unread<Message>(bytes: Buffer): Message {
  const message = {};
  originals.set(message, bytes);
  return message as Message;
}

/** The bytes of a message that came with a definition of keepBytes, or of an unread one. */
export function bytesOf(message: unknown): Buffer | undefined {
  return typeof message === 'object' && message !== null ? originals.get(message) : undefined;
}

function remembering<Message>(deserialize: (bytes: Buffer) => Message): (bytes: Buffer) => Message {
  return (bytes) => {
    const message = deserialize(bytes);
    if (typeof message === 'object' && message !== null) originals.set(message, bytes);
    return message;
  };
}

function original<Message>(serialize: (message: Message) => Buffer): (message: Message) => Buffer {
  return (message) => bytesOf(message) ?? serialize(message);
}
