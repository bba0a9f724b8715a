/** How much a request weighs. */
import type { ProduceRequest } from '@partita/protocol';

/** What the objects of a call, a frame and a record take in memory beside their bytes, near enough to bound what is held. */
const CALL_BYTES = 8 * 1024;
const FRAME_BYTES = 512;
const RECORD_BYTES = 224;

/** Bytes of keys, values and headers, as a stream's client counts them too. */
export function requestBytes({ records }: ProduceRequest): number {
  let bytes = 64;
  for (const { key, value, headers } of records) {
    bytes += 32 + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
    for (const header of headers) bytes += 8 + header.name.length + header.value.byteLength;
  }
  return bytes;
}

/** What a request takes in memory until it is answered. */
export function memoryBytes(form: 'unary' | 'stream' | 'batch', bytes: number, recordCount: number): number {
  return (form === 'unary' ? CALL_BYTES : FRAME_BYTES) + RECORD_BYTES * recordCount + bytes;
}
