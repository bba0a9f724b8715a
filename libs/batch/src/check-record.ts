/** The limits of one record, checked by whoever takes it in: the SDK, the gateway, and the deep check of a batch. */
import {
  RECORD_HEADER_COUNT_MAX,
  RECORD_HEADER_NAME_BYTES_MAX,
  RECORD_HEADERS_BYTES_MAX,
  TRACEPARENT_CHARS_MAX,
  TRACESTATE_CHARS_MAX,
} from '@partita/domain';
import { invalidBatch, invalidTimestamp, recordTooLarge } from './faults.ts';
import { recordBytes } from './record-set.ts';
import type { RecordHeader, RecordInput } from './record-set.ts';

const TIMESTAMP_MS_MAX = 2n ** 63n - 1n;

/** What a topic asks of a record. */
export interface RecordLimits {
  /** Bytes of the serialised Record. */
  readonly recordBytesMax: number;
  /** Latest timestamp, milliseconds; Infinity where record timestamps are not looked at. */
  readonly timestampMsMax: number;
  /** On a compacted topic a record without a value needs a key. */
  readonly compacted?: boolean;
}

/** Refuses a record above a limit (RECORD_TOO_LARGE, INVALID_TIMESTAMP, INVALID_BATCH); returns recordBytes(record). */
export function checkRecord(record: RecordInput, limits: RecordLimits): number {
  const bytes = recordBytes(record);
  if (bytes > limits.recordBytesMax) throw recordTooLarge('bytes', 'a record in bytes', bytes, limits.recordBytesMax);
  if (record.headers !== undefined && record.headers.length > 0) checkHeaders(record.headers);
  checkTrace('traceparent in characters', record.traceparent, TRACEPARENT_CHARS_MAX);
  checkTrace('tracestate in characters', record.tracestate, TRACESTATE_CHARS_MAX);
  if (limits.compacted === true && record.value === undefined && record.key === undefined) {
    throw invalidBatch('a record without key and value on a compacted topic; give the key that is to be deleted');
  }
  checkTimestamp(record.timestampMs, limits.timestampMsMax);
  return bytes;
}

/** Refuses a timestamp before 1970, beyond int64 or later than `timestampMsMax` (INVALID_TIMESTAMP). */
export function checkTimestamp(timestampMs: bigint, timestampMsMax: number): void {
  if (timestampMs < 0n) throw invalidTimestamp(timestampMs, 0, 'is before 1970');
  if (timestampMs > TIMESTAMP_MS_MAX) throw invalidTimestamp(timestampMs, TIMESTAMP_MS_MAX, 'is no int64');
  if (Number(timestampMs) > timestampMsMax) {
    throw invalidTimestamp(timestampMs, timestampMsMax, `is too far ahead, the latest now is ${timestampMsMax} ms`);
  }
}

function checkHeaders(headers: readonly RecordHeader[]): void {
  if (headers.length > RECORD_HEADER_COUNT_MAX) {
    throw recordTooLarge('headers', 'the number of headers of a record', headers.length, RECORD_HEADER_COUNT_MAX);
  }
  let bytes = 0;
  for (const { name, value } of headers) {
    const nameBytes = Buffer.byteLength(name, 'utf8');
    if (nameBytes === 0) throw invalidBatch('a record header has no name; give each 1 to 255 bytes');
    if (nameBytes > RECORD_HEADER_NAME_BYTES_MAX) {
      throw recordTooLarge('bytes', 'the name of a record header in bytes', nameBytes, RECORD_HEADER_NAME_BYTES_MAX);
    }
    bytes += nameBytes + value.length;
  }
  if (bytes > RECORD_HEADERS_BYTES_MAX) {
    throw recordTooLarge('bytes', 'the headers of a record in bytes', bytes, RECORD_HEADERS_BYTES_MAX);
  }
}

function checkTrace(what: string, text: string | undefined, limit: number): void {
  if (text !== undefined && text.length > limit) throw recordTooLarge('chars', what, text.length, limit);
}
