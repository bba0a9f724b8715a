/**
 * Records and their encoding, a serialised partita.v1.RecordSet: the content of a batch once decompressed. Encoding
 * sizes everything first and then writes into one allocation; decoding makes views of the input, no copies. What is
 * written is what every stock protobuf library writes: fields in order, zeros left out.
 */
import { BATCH_RECORD_COUNT_MAX, RECORD_HEADER_COUNT_MAX } from '@partita/domain';
import { batchTooLarge, malformed, recordTooLarge } from './faults.ts';
import { WireReader } from './wire-reader.ts';
import { int64Bytes, putBytes, putInt64Varint, putText, putVarint, varintBytes } from './wire-writer.ts';

/** Tags of the fields that compaction looks at: field number and wire type. */
export const RECORD_TAG = 0x0a;
export const KEY_TAG = 0x0a;
export const VALUE_TAG = 0x12;
const HEADER_TAG = 0x1a;
export const TIMESTAMP_TAG = 0x20;
export const TRACEPARENT_TAG = 0x2a;
const TRACESTATE_TAG = 0x32;
export const OFFSET_DELTA_TAG = 0x38;
const HEADER_NAME_TAG = 0x0a;
const HEADER_VALUE_TAG = 0x12;
const INT32_MAX = 2 ** 31 - 1;

/** One header of a record; names may repeat, order is kept. */
export interface RecordHeader {
  readonly name: string;
  readonly value: Uint8Array;
}

/** A record to be encoded. An absent key differs from an empty one; an absent value is a tombstone. */
export interface RecordInput {
  readonly key?: Uint8Array | undefined;
  readonly value?: Uint8Array | undefined;
  readonly headers?: readonly RecordHeader[] | undefined;
  /** Milliseconds since 1970 UTC. */
  readonly timestampMs: bigint;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  /** Position in the batch; only compaction sets it, where records before this one are gone. */
  readonly offsetDelta?: number | undefined;
}

/** A decoded record: its bytes are views of the decoded buffer. Texts that were absent are empty. */
export interface DecodedRecord extends RecordInput {
  /** Absolute: the batch's base offset plus offset_delta, or plus the index where that is absent. */
  readonly offset: bigint;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
  readonly headers: readonly RecordHeader[];
  readonly timestampMs: bigint;
  readonly traceparent: string;
  readonly tracestate: string;
  readonly offsetDelta: number | undefined;
}

const NO_HEADERS: readonly RecordHeader[] = Object.freeze([]);
const NO_BYTES = new Uint8Array(0);

function textBytes(text: string | undefined): number {
  return text === undefined || text === '' ? 0 : Buffer.byteLength(text, 'utf8');
}

/** Size of a field with a one-byte tag and a length; 0 content is still written. */
function spanBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

function headerBytes(nameBytes: number, valueBytes: number): number {
  return (nameBytes === 0 ? 0 : spanBytes(nameBytes)) + (valueBytes === 0 ? 0 : spanBytes(valueBytes));
}

/** Size of the serialised Record: what RECORD_BYTES_MAX and a topic's record_bytes_max bound. */
export function recordBytes(record: RecordInput): number {
  let bytes = 0;
  if (record.key !== undefined) bytes += spanBytes(record.key.length);
  if (record.value !== undefined) bytes += spanBytes(record.value.length);
  if (record.headers !== undefined) {
    for (const { name, value } of record.headers) bytes += spanBytes(headerBytes(textBytes(name), value.length));
  }
  if (record.timestampMs !== 0n) bytes += 1 + int64Bytes(record.timestampMs);
  const traceparentBytes = textBytes(record.traceparent);
  if (traceparentBytes > 0) bytes += spanBytes(traceparentBytes);
  const tracestateBytes = textBytes(record.tracestate);
  if (tracestateBytes > 0) bytes += spanBytes(tracestateBytes);
  if (record.offsetDelta !== undefined) bytes += 1 + varintBytes(record.offsetDelta);
  return bytes;
}

/** What a record of `recordSize` bytes takes in a RecordSet: itself, its tag and its length. */
export function recordSetBytes(recordSize: number): number {
  return spanBytes(recordSize);
}

function putRecord(out: Buffer, start: number, record: RecordInput): number {
  let at = start;
  if (record.key !== undefined) {
    out[at++] = KEY_TAG;
    at = putBytes(out, at, record.key);
  }
  if (record.value !== undefined) {
    out[at++] = VALUE_TAG;
    at = putBytes(out, at, record.value);
  }
  if (record.headers !== undefined) {
    for (const header of record.headers) at = putHeader(out, at, header);
  }
  if (record.timestampMs !== 0n) {
    out[at++] = TIMESTAMP_TAG;
    at = putInt64Varint(out, at, record.timestampMs);
  }
  at = putTrace(out, at, TRACEPARENT_TAG, record.traceparent);
  at = putTrace(out, at, TRACESTATE_TAG, record.tracestate);
  if (record.offsetDelta !== undefined) {
    out[at++] = OFFSET_DELTA_TAG;
    at = putVarint(out, at, record.offsetDelta);
  }
  return at;
}

function putHeader(out: Buffer, start: number, header: RecordHeader): number {
  const nameBytes = textBytes(header.name);
  const valueBytes = header.value.length;
  out[start] = HEADER_TAG;
  let at = putVarint(out, start + 1, headerBytes(nameBytes, valueBytes));
  if (nameBytes > 0) {
    out[at++] = HEADER_NAME_TAG;
    at = putText(out, at, header.name, nameBytes);
  }
  if (valueBytes > 0) {
    out[at++] = HEADER_VALUE_TAG;
    at = putBytes(out, at, header.value);
  }
  return at;
}

function putTrace(out: Buffer, at: number, tag: number, text: string | undefined): number {
  if (text === undefined || text === '') return at;
  out[at] = tag;
  return putText(out, at + 1, text, textBytes(text));
}

/**
 * Writes the RecordSet of `records` at `start`, where `sizes[i]` is recordBytes(records[i]); returns the position
 * behind it. `out` must have room.
 */
export function putRecordSet(
  out: Buffer,
  start: number,
  records: readonly RecordInput[],
  sizes: readonly number[],
): number {
  let at = start;
  for (let i = 0; i < records.length; i++) {
    out[at] = RECORD_TAG;
    at = putVarint(out, at + 1, sizes[i] as number);
    at = putRecord(out, at, records[i] as RecordInput);
  }
  return at;
}

/** Serialises a RecordSet, in one allocation. Checks no limits: checkRecord() and BatchBuilder do. */
export function encodeRecordSet(records: readonly RecordInput[]): Buffer {
  const sizes = records.map(recordBytes);
  let bytes = 0;
  for (const size of sizes) bytes += spanBytes(size);
  const out = Buffer.allocUnsafe(bytes);
  putRecordSet(out, 0, records, sizes);
  return out;
}

/**
 * Decodes a serialised RecordSet; keys and values are views of `bytes`. Unknown fields of a record are skipped (a newer
 * producer may send them). MALFORMED_MESSAGE for what no protobuf parser reads, invalid UTF-8 included; BATCH_TOO_LARGE
 * or RECORD_TOO_LARGE above the limits of records and headers, so that a small input cannot fill the memory.
 */
export function decodeRecordSet(bytes: Uint8Array, baseOffset = 0n): DecodedRecord[] {
  const reader = new WireReader(bytes, 'partita.v1.RecordSet');
  const records: DecodedRecord[] = [];
  let indexOffset = baseOffset;
  while (!reader.done()) {
    const tag = reader.tag();
    if (tag !== RECORD_TAG) {
      reader.skip(tag);
      continue;
    }
    if (records.length === BATCH_RECORD_COUNT_MAX) {
      throw batchTooLarge('records', 'the number of records in a batch', records.length + 1, BATCH_RECORD_COUNT_MAX);
    }
    const outerEnd = reader.enter();
    records.push(decodeRecord(reader, baseOffset, indexOffset));
    reader.leave(outerEnd);
    indexOffset += 1n;
  }
  return records;
}

function decodeRecord(reader: WireReader, baseOffset: bigint, indexOffset: bigint): DecodedRecord {
  let key: Uint8Array | undefined;
  let value: Uint8Array | undefined;
  let headers: RecordHeader[] | undefined;
  let timestampMs = 0n;
  let traceparent = '';
  let tracestate = '';
  let offsetDelta: number | undefined;
  while (!reader.done()) {
    const tag = reader.tag();
    if (tag === KEY_TAG) key = reader.bytes();
    else if (tag === VALUE_TAG) value = reader.bytes();
    else if (tag === TIMESTAMP_TAG) timestampMs = reader.int64();
    else if (tag === HEADER_TAG) addHeader((headers ??= []), reader);
    else if (tag === TRACEPARENT_TAG) traceparent = reader.text();
    else if (tag === TRACESTATE_TAG) tracestate = reader.text();
    else if (tag === OFFSET_DELTA_TAG) offsetDelta = readOffsetDelta(reader);
    else reader.skip(tag);
  }
  const offset = offsetDelta === undefined ? indexOffset : baseOffset + BigInt(offsetDelta);
  return { offset, key, value, headers: headers ?? NO_HEADERS, timestampMs, traceparent, tracestate, offsetDelta };
}

function addHeader(headers: RecordHeader[], reader: WireReader): void {
  if (headers.length === RECORD_HEADER_COUNT_MAX) {
    throw recordTooLarge('headers', 'the number of headers of a record', headers.length + 1, RECORD_HEADER_COUNT_MAX);
  }
  const outerEnd = reader.enter();
  let name = '';
  let value: Uint8Array = NO_BYTES;
  while (!reader.done()) {
    const tag = reader.tag();
    if (tag === HEADER_NAME_TAG) name = reader.text();
    else if (tag === HEADER_VALUE_TAG) value = reader.bytes();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
  headers.push({ name, value });
}

/** Reads the content of the field offset_delta; MALFORMED_MESSAGE when it is no int32 from 0. */
export function readOffsetDelta(reader: WireReader): number {
  const delta = reader.varint();
  if (delta > INT32_MAX) throw malformed('offset_delta is negative or above 2^31 - 1', reader.name);
  return delta;
}
