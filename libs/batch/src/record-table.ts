/**
 * Where the records of a batch and their keys lie, as numbers: for compaction, which looks at the key of every record of
 * a log and needs no record objects, headers or values. One table is filled again and again.
 */
import { BATCH_RECORD_COUNT_MAX } from '@partita/domain';
import { BATCH_DATA } from './batch-header.ts';
import type { BatchHeader } from './batch-header.ts';
import { checkRecordOffset, checkRecordsCrc, readWholeHeader } from './batch-codec.ts';
import { decompress } from './compression/codec.ts';
import { batchTooLarge, invalidBatch } from './faults.ts';
import { recordsAt } from './header-access.ts';
import { KEY_TAG, OFFSET_DELTA_TAG, readOffsetDelta, RECORD_TAG, TIMESTAMP_TAG, VALUE_TAG } from './record-set.ts';
import { WireReader } from './wire-reader.ts';

/** Numbers per record, in this order: */
const STRIDE = 8;
const START = 0;
const END = 1;
const KEY_START = 2;
const KEY_END = 3;
const DELTA = 4;
/** The field offset_delta with its tag; both -1 when the record has none. */
const DELTA_FIELD_START = 5;
const DELTA_FIELD_END = 6;
/** Where the timestamp's varint begins, -1 without; times two, plus one for a tombstone. */
const TIMESTAMP_AND_TOMBSTONE = 7;

const NO_BYTES = Buffer.alloc(0);
const RECORD_SET = 'partita.v1.RecordSet';

/** The records of one data batch. Positions count in `set`, and hold until the next `load`. */
export class RecordTable {
  /** The whole batch as it is stored, a view of what was loaded. */
  batch: Uint8Array = NO_BYTES;
  /** The record set, unpacked. */
  set: Buffer = NO_BYTES;
  count = 0;
  #header: BatchHeader | undefined;
  #spans = new Int32Array(1024 * STRIDE);

  /** Header of the batch. Throws before the first `load`. */
  get header(): BatchHeader {
    if (this.#header === undefined) throw invalidBatch('no batch was loaded');
    return this.#header;
  }

  /**
   * Takes the canonical data batch at `position` apart, with the checks of decodeBatch() but for headers and texts, which
   * it passes over. After a throw the table is empty.
   */
  load(buf: Uint8Array, position: number): void {
    this.count = 0;
    const header = readWholeHeader(buf, position);
    if (header.type !== BATCH_DATA) throw invalidBatch('a control batch has no record set');
    checkRecordsCrc(buf, position, header);
    const set = decompress(header.codec, recordsAt(buf, position), header.uncompressedBytes);
    this.#header = header;
    this.batch = buf.subarray(position, position + header.batchBytes);
    this.set = Buffer.isBuffer(set) ? set : Buffer.from(set.buffer, set.byteOffset, set.length);
    const count = this.#scan(header);
    if (count !== header.recordCount) {
      throw invalidBatch(`the header counts ${header.recordCount} records, the batch holds ${count}`);
    }
    this.count = count;
  }

  /** Where the fields of the record begin. */
  start(record: number): number {
    return this.#spans[record * STRIDE + START] as number;
  }

  /** Position behind its last field. */
  end(record: number): number {
    return this.#spans[record * STRIDE + END] as number;
  }

  /** Where its key begins; -1 without a key. */
  keyStart(record: number): number {
    return this.#spans[record * STRIDE + KEY_START] as number;
  }

  keyEnd(record: number): number {
    return this.#spans[record * STRIDE + KEY_END] as number;
  }

  /** Its offset minus the base offset of the batch. */
  offsetDelta(record: number): number {
    return this.#spans[record * STRIDE + DELTA] as number;
  }

  /** Where its field offset_delta begins, tag included; -1 when it has none. */
  deltaFieldStart(record: number): number {
    return this.#spans[record * STRIDE + DELTA_FIELD_START] as number;
  }

  deltaFieldEnd(record: number): number {
    return this.#spans[record * STRIDE + DELTA_FIELD_END] as number;
  }

  /** True when it has no value. */
  isTombstone(record: number): boolean {
    return ((this.#spans[record * STRIDE + TIMESTAMP_AND_TOMBSTONE] as number) & 1) === 1;
  }

  timestampMs(record: number): bigint {
    const at = (this.#spans[record * STRIDE + TIMESTAMP_AND_TOMBSTONE] as number) >> 1;
    return at < 0 ? 0n : new WireReader(this.set, RECORD_SET, at).int64();
  }

  #scan(header: BatchHeader): number {
    const reader = new WireReader(this.set, RECORD_SET);
    let count = 0;
    let previous = -1;
    while (!reader.done()) {
      const tag = reader.tag();
      if (tag !== RECORD_TAG) {
        reader.skip(tag);
        continue;
      }
      if (count === BATCH_RECORD_COUNT_MAX) {
        throw batchTooLarge('records', 'the number of records in a batch', count + 1, BATCH_RECORD_COUNT_MAX);
      }
      if ((count + 1) * STRIDE > this.#spans.length) this.#grow();
      const outerEnd = reader.enter();
      const delta = this.#scanRecord(reader, count);
      reader.leave(outerEnd);
      checkRecordOffset(header, count, delta, previous);
      previous = delta;
      count += 1;
    }
    return count;
  }

  /** Notes the fields of the record that the reader is in; returns its offset delta. */
  #scanRecord(reader: WireReader, record: number): number {
    const start = reader.position;
    let keyStart = -1;
    let keyEnd = -1;
    let delta = record;
    let deltaFieldStart = -1;
    let deltaFieldEnd = -1;
    let timestampAt = -1;
    let tombstone = 1;
    while (!reader.done()) {
      const fieldStart = reader.position;
      const tag = reader.tag();
      if (tag === TIMESTAMP_TAG) timestampAt = reader.position;
      if (tag === KEY_TAG) {
        keyStart = reader.span();
        keyEnd = reader.position;
      } else if (tag === OFFSET_DELTA_TAG) {
        delta = readOffsetDelta(reader);
        deltaFieldStart = fieldStart;
        deltaFieldEnd = reader.position;
      } else {
        if (tag === VALUE_TAG) tombstone = 0;
        reader.skip(tag);
      }
    }
    const spans = this.#spans;
    const at = record * STRIDE;
    spans[at + START] = start;
    spans[at + END] = reader.position;
    spans[at + KEY_START] = keyStart;
    spans[at + KEY_END] = keyEnd;
    spans[at + DELTA] = delta;
    spans[at + DELTA_FIELD_START] = deltaFieldStart;
    spans[at + DELTA_FIELD_END] = deltaFieldEnd;
    spans[at + TIMESTAMP_AND_TOMBSTONE] = timestampAt * 2 + tombstone;
    return delta;
  }

  #grow(): void {
    const larger = new Int32Array(this.#spans.length * 2);
    larger.set(this.#spans);
    this.#spans = larger;
  }
}
