/** Writing protobuf by hand into a buffer that is known to be large enough: sizes first, then bytes. */

const UINT32_RANGE = 2 ** 32;
/** First value whose varint has 9 bytes. */
const EIGHT_BYTES_END = 2n ** 56n;

/** Bytes of an unsigned varint; `value` is an integer from 0 to 2^53 - 1. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let bytes = 5;
  for (let rest = value / 0x800000000; rest >= 1; rest /= 128) bytes++;
  return bytes;
}

/** Writes an unsigned varint (0 to 2^53 - 1) at `start`; returns where the next byte goes. */
export function putVarint(buf: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= UINT32_RANGE) {
    buf[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    buf[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buf[at++] = rest;
  return at;
}

/** Bytes of the varint of an int64 field; 10 for negative values. */
export function int64Bytes(value: bigint): number {
  const near = Number(value);
  if (near >= 0 && near <= Number.MAX_SAFE_INTEGER) return varintBytes(near);
  if (value < 0n) return 10;
  return value < EIGHT_BYTES_END ? 8 : 9;
}

/** Writes the varint of an int64 field at `start`; returns where the next byte goes. */
export function putInt64Varint(buf: Uint8Array, start: number, value: bigint): number {
  const near = Number(value);
  if (near >= 0 && near <= Number.MAX_SAFE_INTEGER) return putVarint(buf, start, near);
  let at = start;
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) buf[at++] = Number(rest & 0x7fn) | 0x80;
  buf[at++] = Number(rest);
  return at;
}

/** Below this a byte loop is faster than the call into the engine's copy. */
const COPY_LOOP_BYTES_MAX = 24;

/** Writes the length of `bytes` and then `bytes` at `at`; returns where the next byte goes. */
export function putBytes(buf: Uint8Array, at: number, bytes: Uint8Array): number {
  const start = putVarint(buf, at, bytes.length);
  if (bytes.length > COPY_LOOP_BYTES_MAX) buf.set(bytes, start);
  else for (let i = 0; i < bytes.length; i++) buf[start + i] = bytes[i] as number;
  return start + bytes.length;
}

/** Writes the UTF-8 length of `text` and then `text` at `at`; returns where the next byte goes. */
export function putText(buf: Buffer, at: number, text: string, textBytes: number): number {
  const start = putVarint(buf, at, textBytes);
  buf.write(text, start, textBytes, 'utf8');
  return start + textBytes;
}
