/**
 * A batch without some of its records: what compaction writes. Offsets, epoch, append time, producer and sequence stay;
 * everything that describes the records is made anew. Each record gets its offset_delta, as its index no longer tells.
 */
import { BATCH_BYTES_MAX, BATCH_UNCOMPRESSED_BYTES_MAX, invariant } from '@partita/domain';
import { CODEC_NONE, HEADER_BYTES, writeBatchHeader } from './batch-header.ts';
import { compress } from './compression/codec.ts';
import { crc32c } from './crc32c.ts';
import { stampBatch } from './header-checksum.ts';
import { OFFSET_DELTA_TAG, RECORD_TAG, recordSetBytes } from './record-set.ts';
import { RecordSummary } from './record-summary.ts';
import type { RecordTable } from './record-table.ts';
import { putVarint, varintBytes } from './wire-writer.ts';

const SOME_VALUE = new Uint8Array(0);

/** Some of the kept records, and the offsets that their new batch covers, as deltas from the old base offset. */
interface Part {
  readonly records: readonly number[];
  readonly firstDelta: number;
  readonly lastDelta: number;
}

/**
 * The batch of the table with the records for which `keeps` is not 0: its own bytes (a view) when it keeps all, nothing
 * when it keeps none. `seed` is that of the partition's header checksums. The result is one batch, but for a batch of
 * very many small records that the offset deltas would push over a limit: that one is split, and the sequence of each
 * further part counts on. Together the parts cover the offsets that the batch covered.
 */
export function filterBatch(table: RecordTable, keeps: Uint8Array, seed: number): readonly Uint8Array[] {
  const records: number[] = [];
  for (let record = 0; record < table.count; record += 1) if (keeps[record] !== 0) records.push(record);
  if (records.length === table.count) return [table.batch];
  if (records.length === 0) return [];
  return build(table, { records, firstDelta: 0, lastDelta: table.header.lastOffsetDelta }, seed);
}

/** The batch of the table without its records: what is left says who produced it, and which offsets and sequences it had. */
export function emptiedBatch(table: RecordTable, seed: number): readonly Uint8Array[] {
  return build(table, { records: [], firstDelta: 0, lastDelta: table.header.lastOffsetDelta }, seed);
}

function build(table: RecordTable, part: Part, seed: number): readonly Uint8Array[] {
  let setBytes = 0;
  for (const record of part.records) setBytes += recordSetBytes(contentBytes(table, record, part.firstDelta));
  if (setBytes > BATCH_UNCOMPRESSED_BYTES_MAX) return split(table, part, seed);
  const plain = Buffer.allocUnsafe(HEADER_BYTES + setBytes);
  const summary = putRecords(plain, table, part);
  const set = plain.subarray(HEADER_BYTES);
  const { codec } = table.header;
  const packed = codec === CODEC_NONE ? set : compress(codec, set);
  const shrinks = packed.length < set.length;
  const batchBytes = HEADER_BYTES + (shrinks ? packed.length : set.length);
  if (batchBytes > BATCH_BYTES_MAX) return split(table, part, seed);
  const batch = shrinks ? Buffer.allocUnsafe(batchBytes) : plain;
  if (shrinks) batch.set(packed, HEADER_BYTES);
  const { header } = table;
  const baseOffset = header.baseOffset + BigInt(part.firstDelta);
  writeBatchHeader(batch, {
    ...header,
    baseOffset,
    recordsCrc: crc32c(batch.subarray(HEADER_BYTES)),
    recordCount: summary.count,
    lastOffsetDelta: part.lastDelta - part.firstDelta,
    firstTimestampMs: summary.firstTimestampMs,
    maxTimestampMs: summary.maxTimestampMs,
    uncompressedBytes: setBytes,
    firstSequence: header.firstSequence < 0n ? header.firstSequence : header.firstSequence + BigInt(part.firstDelta),
    minKeyHash: summary.minKeyHash,
    maxKeyHash: summary.maxKeyHash,
    codec: shrinks ? codec : CODEC_NONE,
    hasTombstones: summary.hasTombstones,
    recordsBytes: batchBytes - HEADER_BYTES,
  });
  stampBatch(batch, { baseOffset, leaderEpoch: header.leaderEpoch, appendTimeMs: header.appendTimeMs }, seed);
  return [batch];
}

/** Two halves. A single record never needs it: what was removed beside it is larger than its offset delta. */
function split(table: RecordTable, part: Part, seed: number): readonly Uint8Array[] {
  const { records } = part;
  invariant(records.length > 1, 'a record that fitted into a batch with others fits into one alone');
  const half = Math.ceil(records.length / 2);
  const middle = table.offsetDelta(records[half] as number);
  return [
    ...build(table, { ...part, records: records.slice(0, half), lastDelta: middle - 1 }, seed),
    ...build(table, { ...part, records: records.slice(half), firstDelta: middle }, seed),
  ];
}

/** Bytes of the record's fields with the offset delta that it gets. */
function contentBytes(table: RecordTable, record: number, firstDelta: number): number {
  const deltaFieldBytes = table.deltaFieldEnd(record) - table.deltaFieldStart(record);
  const others = table.end(record) - table.start(record) - deltaFieldBytes;
  return others + 1 + varintBytes(table.offsetDelta(record) - firstDelta);
}

/** Writes the record set behind the header and says what it holds. */
function putRecords(out: Buffer, table: RecordTable, part: Part): RecordSummary {
  const summary = new RecordSummary();
  const { set } = table;
  let at = HEADER_BYTES;
  for (const record of part.records) {
    const start = table.start(record);
    const end = table.end(record);
    const deltaFieldStart = table.deltaFieldStart(record);
    out[at] = RECORD_TAG;
    at = putVarint(out, at + 1, contentBytes(table, record, part.firstDelta));
    if (deltaFieldStart < 0) {
      at += set.copy(out, at, start, end);
    } else {
      at += set.copy(out, at, start, deltaFieldStart);
      at += set.copy(out, at, table.deltaFieldEnd(record), end);
    }
    out[at] = OFFSET_DELTA_TAG;
    at = putVarint(out, at + 1, table.offsetDelta(record) - part.firstDelta);
    const keyStart = table.keyStart(record);
    summary.add({
      key: keyStart < 0 ? undefined : set.subarray(keyStart, table.keyEnd(record)),
      value: table.isTombstone(record) ? undefined : SOME_VALUE,
      timestampMs: table.timestampMs(record),
    });
  }
  return summary;
}
