import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildControlBatch } from './batch-builder.ts';
import { BATCH_CLAIM, HEADER_BYTES, readBatchHeader, writeBatchHeader } from './batch-header.ts';
import type { BatchHeader } from './batch-header.ts';
import { encodeRecordSet } from './record-set.ts';
import { arbitraryBatch, buildBatch } from './testing/batches.ts';
import { reasonOf } from './testing/reason-of.ts';
import { validateRecords } from './validate-records.ts';

const LIMITS = { recordBytesMax: 1 << 20, timestampMsMax: Infinity };
const records = ['a', 'b'].map((key, i) => ({
  key: Buffer.from(key),
  value: Buffer.from('v'),
  timestampMs: BigInt(5 - i),
}));

describe('validateRecords', () => {
  it('takes every batch that BatchBuilder makes and gives its records', () => {
    fc.assert(
      fc.property(arbitraryBatch, (batch) => {
        expect(validateRecords(batch, LIMITS)).toHaveLength(readBatchHeader(batch).recordCount);
      }),
    );
  });

  it('refuses a header that says something else than the records', () => {
    const batch = buildBatch(records);
    const header = readBatchHeader(batch);
    const cases: Partial<BatchHeader>[] = [
      { recordCount: 3 },
      { firstTimestampMs: 4n },
      { maxTimestampMs: 6n },
      { hasTombstones: true },
      { minKeyHash: header.minKeyHash - 1 },
      { maxKeyHash: header.maxKeyHash + 1 },
      { minKeyHash: 2, maxKeyHash: 1 },
    ];
    for (const changes of cases) {
      const [field] = Object.keys(changes);
      const lying = Buffer.from(batch);
      writeBatchHeader(lying, { ...header, ...changes });
      expect([field, reasonOf(() => validateRecords(lying, LIMITS))]).toEqual([field, 'INVALID_BATCH']);
    }
  });

  it('lets a batch without keys say so with any bounds that are upside down', () => {
    const batch = buildBatch([{ value: Buffer.from('v'), timestampMs: 1n }]);
    writeBatchHeader(batch, { ...readBatchHeader(batch), minKeyHash: 9, maxKeyHash: 8 });
    expect(validateRecords(batch, LIMITS)).toHaveLength(1);
    writeBatchHeader(batch, { ...readBatchHeader(batch), minKeyHash: 0, maxKeyHash: 0 });
    expect(reasonOf(() => validateRecords(batch, LIMITS))).toBe('INVALID_BATCH');
  });

  it('holds every record to the limits of the topic', () => {
    const batch = buildBatch(records);
    expect(reasonOf(() => validateRecords(batch, { ...LIMITS, recordBytesMax: 3 }))).toBe('RECORD_TOO_LARGE');
    expect(reasonOf(() => validateRecords(batch, { ...LIMITS, timestampMsMax: 4 }))).toBe('INVALID_TIMESTAMP');
    const tombstone = buildBatch([{ timestampMs: 1n }]);
    expect(reasonOf(() => validateRecords(tombstone, { ...LIMITS, compacted: true }))).toBe('INVALID_BATCH');
  });

  it('refuses offset_delta, control batches and records that are no RecordSet', () => {
    const withDelta = buildBatch(records.map((record, offsetDelta) => ({ ...record, offsetDelta })));
    expect(reasonOf(() => validateRecords(withDelta, LIMITS))).toBe('INVALID_BATCH');
    expect(reasonOf(() => validateRecords(buildControlBatch(BATCH_CLAIM, Buffer.from('x')), LIMITS))).toBe(
      'INVALID_BATCH',
    );
    const garbage = buildBatch(records);
    garbage.fill(0xff, HEADER_BYTES);
    expect(reasonOf(() => validateRecords(garbage, LIMITS))).toBe('MALFORMED_MESSAGE');
    expect(encodeRecordSet(records).equals(buildBatch(records).subarray(HEADER_BYTES))).toBe(true);
  });
});
