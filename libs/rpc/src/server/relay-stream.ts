/**
 * Passes a stream both ways on to another address, bytes unchanged but for the first answer. Each side is pushed back as
 * far as the other one is: what waits here is bounded by the bounds of the two streams. Its end, errors included, is the
 * other side's; when the caller goes, the stream that was passed on is cancelled.
 */
import type { Client, MethodDefinition } from '@grpc/grpc-js';
import type { PartitaError } from '@partita/domain';
import { openBidi } from '../client/client-stream.ts';
import type { CallContext } from './call-context.ts';
import type { BidiHandlers, ServerBidiStream } from './methods.ts';
import { bytesOf, keepBytes, relayMetadata, unread } from './relay.ts';

export interface RelayOptions<Response> {
  /** Changes the first answer. */
  onFirst?(response: Response): Response;
  /** What the caller is told when the other side ends with an error. Default: the same. */
  onError?(error: PartitaError): PartitaError;
}

/** The handlers of `stream`, whose method is declared with `relayed`. */
export function relayBidi<Request, Response>(
  client: Client,
  definition: MethodDefinition<Request, Response>,
  stream: ServerBidiStream<Response>,
  context: CallContext,
  options: RelayOptions<Response> = {},
): BidiHandlers<Request> {
  let isFirst = true;
  const onward = openBidi<Request, Response>(
    client,
    { ...keepBytes(definition), responseDeserialize: (bytes) => unread<Response>(bytes) },
    {
      onMessage: (message) => {
        const bytes = bytesOf(message);
        const changed =
          isFirst && bytes !== undefined ? options.onFirst?.(definition.responseDeserialize(bytes)) : undefined;
        isFirst = false;
        if (!stream.send(changed ?? message, bytes?.byteLength)) onward.pause();
      },
      onDrain: () => stream.resume(),
      onClose: (error) => stream.end(error === undefined ? undefined : (options.onError?.(error) ?? error)),
    },
    { metadata: relayMetadata(context) },
  );
  stream.onDrain(() => onward.resume());
  stream.onClose(() => onward.cancel());
  return {
    onMessage: (message) => {
      if (!onward.send(message, bytesOf(message)?.byteLength)) stream.pause();
    },
    onEnd: () => onward.end(),
  };
}
