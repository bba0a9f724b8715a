/**
 * CRC-32C of a few bytes within a buffer, in JavaScript: a call of the native one costs more than the 124 bytes of a
 * header take here, and needs a view of them. Eight bytes a step, with a table for each place in the step; beyond some
 * hundred bytes crc32c() is faster.
 */

/** Castagnoli's polynomial, bits reversed. */
const POLYNOMIAL = 0x82f63b78;
const STEP_BYTES = 8;
/** Table k, from k * 256: what a byte does to the CRC when k more bytes follow it in the step. */
const TABLES = makeTables();

/** The CRC of bytes `from` to `to` (exclusive), continued from `seed` as by crc32c(). The caller has checked the bounds. */
export function shortCrc32c(buf: Uint8Array, from: number, to: number, seed: number): number {
  let crc = ~seed;
  let at = from;
  for (; at + STEP_BYTES <= to; at += STEP_BYTES) {
    crc ^=
      (buf[at] as number) |
      ((buf[at + 1] as number) << 8) |
      ((buf[at + 2] as number) << 16) |
      ((buf[at + 3] as number) << 24);
    crc =
      (TABLES[7 * 256 + (crc & 0xff)] as number) ^
      (TABLES[6 * 256 + ((crc >>> 8) & 0xff)] as number) ^
      (TABLES[5 * 256 + ((crc >>> 16) & 0xff)] as number) ^
      (TABLES[4 * 256 + (crc >>> 24)] as number) ^
      (TABLES[3 * 256 + (buf[at + 4] as number)] as number) ^
      (TABLES[2 * 256 + (buf[at + 5] as number)] as number) ^
      (TABLES[256 + (buf[at + 6] as number)] as number) ^
      (TABLES[buf[at + 7] as number] as number);
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ (TABLES[(crc ^ (buf[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(STEP_BYTES * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256] as number;
    tables[at] = (before >>> 8) ^ (tables[before & 0xff] as number);
  }
  return tables;
}
