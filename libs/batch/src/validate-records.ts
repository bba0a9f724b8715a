/**
 * The deep check of a batch that someone else built: its records against its header and against the topic's limits.
 * Brokers never do it; a gateway does before it passes on the batch of a producer session.
 */
import { BATCH_DATA, readBatchHeader } from './batch-header.ts';
import type { BatchHeader } from './batch-header.ts';
import { checkRecord } from './check-record.ts';
import type { RecordLimits } from './check-record.ts';
import { decompress } from './compression/codec.ts';
import { invalidBatch } from './faults.ts';
import { recordsAt } from './header-access.ts';
import { RecordSummary } from './record-summary.ts';
import { decodeRecordSet } from './record-set.ts';
import type { DecodedRecord } from './record-set.ts';

/**
 * Checks the canonical data batch at the start of `batch` (as acceptBatch() returns it) and gives its records.
 * INVALID_BATCH when the header says something else than the records, and what checkRecord() throws for one of them.
 */
export function validateRecords(batch: Uint8Array, limits: RecordLimits): readonly DecodedRecord[] {
  const header = readBatchHeader(batch);
  if (header.type !== BATCH_DATA) throw invalidBatch('a control batch holds no records; send type DATA');
  const set = decompress(header.codec, recordsAt(batch, 0), header.uncompressedBytes);
  const records = decodeRecordSet(set, header.baseOffset);
  const summary = new RecordSummary();
  for (const record of records) {
    if (record.offsetDelta !== undefined) {
      throw invalidBatch('a record has an offset_delta; leave it out, compaction alone sets it');
    }
    checkRecord(record, limits);
    summary.add(record);
  }
  checkSummary(header, summary);
  return records;
}

function checkSummary(header: BatchHeader, summary: RecordSummary): void {
  expectSame('record_count', header.recordCount, summary.count);
  expectSame('first_timestamp_ms', header.firstTimestampMs, summary.firstTimestampMs);
  expectSame('max_timestamp_ms', header.maxTimestampMs, summary.maxTimestampMs);
  expectSame('has_tombstones', header.hasTombstones, summary.hasTombstones);
  // Any pair with min above max says "no keys".
  if (header.minKeyHash > header.maxKeyHash && summary.minKeyHash > summary.maxKeyHash) return;
  expectSame('min_key_hash', header.minKeyHash, summary.minKeyHash);
  expectSame('max_key_hash', header.maxKeyHash, summary.maxKeyHash);
}

function expectSame<T extends bigint | number | boolean>(field: string, claimed: T, actual: T): void {
  if (claimed === actual) return;
  throw invalidBatch(`${field} is ${claimed}, but the records give ${actual}; build the header from the records`, {
    field,
    claimed: String(claimed),
    actual: String(actual),
  });
}
