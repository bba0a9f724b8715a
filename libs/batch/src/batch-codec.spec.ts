import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchesIn, decodeBatch } from './batch-codec.ts';
import { BatchBuilder, buildControlBatch } from './batch-builder.ts';
import {
  BATCH_CLAIM,
  CODEC_GZIP,
  CODEC_NONE,
  HEADER_BYTES,
  readBatchHeader,
  writeBatchHeader,
} from './batch-header.ts';
import type { BatchHeader } from './batch-header.ts';
import { crc32c } from './crc32c.ts';
import { recordsAt } from './header-access.ts';
import { headerSeed, stampBatch } from './header-checksum.ts';
import { encodeRecordSet } from './record-set.ts';
import { arbitraryBatch, buildBatch } from './testing/batches.ts';
import { reasonOf } from './testing/reason-of.ts';

const record = { key: Buffer.from('key'), value: Buffer.from('value'), timestampMs: 1n };
/** Field 2 of RecordBatches with five bytes of content. */
const SEGMENT_HEADER = Buffer.from('12050d01000000', 'hex');

/** A canonical batch around `set` whose header is `changes` over one that fits. */
function batchOf(set: Buffer, changes: Partial<BatchHeader>): Buffer {
  const batch = Buffer.concat([Buffer.alloc(HEADER_BYTES), set]);
  const base = readBatchHeader(buildBatch([record]));
  const sizes = { recordsBytes: set.length, uncompressedBytes: set.length, recordsCrc: crc32c(set) };
  writeBatchHeader(batch, { ...base, ...sizes, ...changes });
  return batch;
}

describe('batchesIn', () => {
  it('walks the batches of a segment file and skips its header', () => {
    fc.assert(
      fc.property(fc.array(arbitraryBatch, { maxLength: 5 }), (batches) => {
        const file = Buffer.concat([SEGMENT_HEADER, ...batches]);
        const found = [...batchesIn(file)];
        expect(found.map(({ position }) => position)).toEqual(
          batches.map((_, i) => SEGMENT_HEADER.length + batches.slice(0, i).reduce((sum, b) => sum + b.length, 0)),
        );
        found.forEach(({ position, header }, i) => {
          expect(file.subarray(position, position + header.batchBytes).equals(batches[i] as Buffer)).toBe(true);
        });
      }),
    );
  });

  it('gives the whole batches and then refuses the torn one, wherever it is cut', () => {
    const batch = buildBatch([record]);
    const run = Buffer.concat([batch, batch]);
    for (let cut = batch.length + 1; cut < run.length; cut++) {
      const walk = batchesIn(run.subarray(0, cut));
      expect(walk.next().done).toBe(false);
      expect(() => walk.next()).toThrow(
        expect.objectContaining({
          reason: 'INVALID_BATCH',
          metadata: expect.objectContaining({ position: String(batch.length) }) as object,
        }) as Error,
      );
    }
  });

  it('refuses a segment header that is cut short, and anything else between batches', () => {
    expect(reasonOf(() => [...batchesIn(SEGMENT_HEADER.subarray(0, 4))])).toBe('MALFORMED_MESSAGE');
    expect(reasonOf(() => [...batchesIn(Buffer.from('1a00', 'hex'))])).toBe('INVALID_BATCH');
    expect(reasonOf(() => [...batchesIn(Buffer.alloc(300))])).toBe('INVALID_BATCH');
    expect([...batchesIn(Buffer.alloc(0))]).toEqual([]);
  });
});

describe('decodeBatch', () => {
  it('gives every record with its absolute offset, whatever the codec', () => {
    fc.assert(
      fc.property(arbitraryBatch, fc.nat(20), (batch, position) => {
        stampBatch(batch, { baseOffset: 5_000_000_000n, leaderEpoch: 1, appendTimeMs: 1n }, headerSeed('t', 0));
        const { header, records } = decodeBatch(Buffer.concat([Buffer.alloc(position), batch]), position);
        expect(records).toHaveLength(header.recordCount);
        expect(records.map(({ offset }) => offset)).toEqual(records.map((_, i) => 5_000_000_000n + BigInt(i)));
      }),
    );
  });

  it('follows offset_delta where compaction left holes', () => {
    const set = encodeRecordSet([2, 5].map((offsetDelta) => ({ ...record, offsetDelta })));
    const { records } = decodeBatch(batchOf(set, { baseOffset: 100n, recordCount: 2, lastOffsetDelta: 7 }));
    expect(records.map(({ offset }) => offset)).toEqual([102n, 105n]);
    const empty = decodeBatch(batchOf(Buffer.alloc(0), { recordCount: 0, lastOffsetDelta: 7 }));
    expect(empty.records).toEqual([]);
  });

  it('refuses offsets that are out of order or above the last', () => {
    for (const deltas of [
      [5, 2],
      [2, 2],
      [2, 8],
    ]) {
      const set = encodeRecordSet(deltas.map((offsetDelta) => ({ ...record, offsetDelta })));
      expect(reasonOf(() => decodeBatch(batchOf(set, { recordCount: 2, lastOffsetDelta: 7 })))).toBe('INVALID_BATCH');
    }
  });

  it('refuses records that changed and records that do not fit the header', () => {
    const set = encodeRecordSet([record]);
    const changed = buildBatch([record]);
    changed[HEADER_BYTES + 4] = 0;
    expect(reasonOf(() => decodeBatch(changed))).toBe('CHECKSUM_MISMATCH');
    expect(reasonOf(() => decodeBatch(batchOf(set, { recordCount: 2, lastOffsetDelta: 1 })))).toBe('INVALID_BATCH');
    expect(reasonOf(() => decodeBatch(batchOf(set, { uncompressedBytes: set.length + 1 })))).toBe('INVALID_BATCH');
    expect(reasonOf(() => decodeBatch(batchOf(set, { codec: CODEC_GZIP })))).toBe('INVALID_BATCH');
    expect(reasonOf(() => decodeBatch(batchOf(Buffer.from('0aff', 'hex'), {})))).toBe('MALFORMED_MESSAGE');
    expect(reasonOf(() => decodeBatch(buildBatch([record]).subarray(0, 130)))).toBe('INVALID_BATCH');
  });

  it('leaves the content of control batches alone', () => {
    const batch = buildControlBatch(BATCH_CLAIM, Buffer.from('payload'), 9n);
    const { header, records } = decodeBatch(batch);
    expect(records).toEqual([]);
    expect(header).toMatchObject({ type: BATCH_CLAIM, recordCount: 1, lastOffsetDelta: 0, maxTimestampMs: 9n });
    expect(Buffer.from(recordsAt(batch, 0)).toString()).toBe('payload');
  });

  it('throws nothing but PartitaError for mutated batches', () => {
    fc.assert(
      fc.property(arbitraryBatch, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), (batch, changes) => {
        for (const [at, byte] of changes) batch[at % batch.length] = byte;
        reasonOf(() => decodeBatch(batch));
        reasonOf(() => [...batchesIn(batch)]);
        // With a checksum that fits, the damage reaches the decoders.
        batch.writeUInt32LE(crc32c(batch.subarray(HEADER_BYTES)), 34);
        reasonOf(() => decodeBatch(batch));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('BatchBuilder', () => {
  it('counts the exact bytes of the batch and never passes its limit', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { minLength: 1 }), fc.integer({ min: 200, max: 3000 }), (sizes, limit) => {
        const builder = new BatchBuilder({ batchBytesMax: limit });
        const taken = sizes.filter((size) => builder.tryAdd({ ...record, value: Buffer.alloc(size) })).length;
        expect(builder.count).toBe(taken);
        const batch = builder.build({ codec: CODEC_NONE });
        expect(batch.length).toBe(builder.bytes);
        if (taken > 1) expect(batch.length).toBeLessThanOrEqual(limit);
        expect(decodeBatch(batch).records).toHaveLength(taken);
      }),
    );
  });

  it('describes its records in the header', () => {
    const header = readBatchHeader(
      buildBatch([
        { key: Buffer.from('a'), value: Buffer.from('x'), timestampMs: 20n },
        { key: Buffer.from('b'), timestampMs: 30n },
        { value: Buffer.from('y'), timestampMs: 10n },
      ]),
    );
    expect(header.minKeyHash).toBeLessThan(header.maxKeyHash);
    expect(header).toMatchObject({
      recordCount: 3,
      lastOffsetDelta: 2,
      firstTimestampMs: 20n,
      maxTimestampMs: 30n,
      hasTombstones: true,
      producerEpoch: -1,
      firstSequence: -1n,
      baseOffset: 0n,
      leaderEpoch: 0,
      headerCrc: 0,
    });
    const keyless = readBatchHeader(buildBatch([{ value: Buffer.from('y'), timestampMs: 1n }]));
    expect([keyless.minKeyHash, keyless.maxKeyHash, keyless.hasTombstones]).toEqual([0xffffffff, 0, false]);
  });

  it('stores what compression would not shrink as it is', () => {
    const batch = buildBatch([{ value: Buffer.from('a'), timestampMs: 1n }], CODEC_GZIP);
    expect(readBatchHeader(batch).codec).toBe(CODEC_NONE);
    const larger = buildBatch([{ value: Buffer.alloc(5000), timestampMs: 1n }], CODEC_GZIP);
    expect(readBatchHeader(larger)).toMatchObject({ codec: CODEC_GZIP, uncompressedBytes: 5008 });
    expect(larger.length).toBeLessThan(300);
  });

  it('holds back at its record count, and says when no batch can hold a record', () => {
    const builder = new BatchBuilder({ recordCountMax: 2 });
    expect([1, 2, 3].map(() => builder.tryAdd(record))).toEqual([true, true, false]);
    const huge = { value: Buffer.alloc(2 << 20), timestampMs: 0n };
    expect(reasonOf(() => new BatchBuilder().tryAdd(huge))).toBe('RECORD_TOO_LARGE');
    expect(builder.tryAdd(huge)).toBe(false);
    const small = new BatchBuilder({ batchBytesMax: 130 });
    expect([small.tryAdd(record), small.tryAdd(record)]).toEqual([true, false]);
  });
});
