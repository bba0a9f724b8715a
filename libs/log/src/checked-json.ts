/**
 * Small files that people read: one JSON object with the field `crc` last, CRC-32C of the object without it as 8 hex
 * digits, so that a flipped digit of an offset or an id is not believed. The order of the fields counts.
 */
import { crc32c } from '@partita/batch';

/** The text of a file, with a line feed at its end. */
export function encodeCheckedJson(fields: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(`${JSON.stringify({ ...fields, crc: checksum(fields) })}\n`);
}

/** The fields without `crc`; undefined when the text holds no object or one that was changed. A file without is taken. */
export function decodeCheckedJson(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  const object = parseObject(bytes.toString('utf8'));
  if (object === undefined) return undefined;
  const { crc, ...fields } = object;
  return crc === undefined || crc === checksum(fields) ? fields : undefined;
}

function checksum(fields: Readonly<Record<string, unknown>>): string {
  return crc32c(Buffer.from(JSON.stringify(fields)))
    .toString(16)
    .padStart(8, '0');
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
