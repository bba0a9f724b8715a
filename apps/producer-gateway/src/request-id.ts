/** The id that a client gives a request, so that it can repeat it through any gateway: a UUID of version 7, as text. */
import { isProducerId, isUuid, PartitaError, producerIdTimeMs } from '@partita/domain';

export interface RequestId {
  /** 16 bytes. */
  readonly bytes: Uint8Array;
  /** When the client made it, by the client's clock, milliseconds UTC. */
  readonly timeMs: bigint;
}

/** The id in a request, or undefined when it has none. INVALID_REQUEST when the text is no lower-case UUID of version 7. */
export function parseRequestId(text: string): RequestId | undefined {
  if (text === '') return undefined;
  const hex = text.replaceAll('-', '');
  if (isUuid(text) && isProducerId(hex)) return { bytes: Buffer.from(hex, 'hex'), timeMs: producerIdTimeMs(hex) };
  const range = 'a lower-case UUID of version 7, or empty';
  throw new PartitaError('INVALID_REQUEST', `request_id must be ${range}`, { field: 'request_id', value: text, range });
}
