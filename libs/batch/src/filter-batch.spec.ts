import { BATCH_BYTES_MAX } from '@partita/domain';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBatch } from './batch-codec.ts';
import type { DecodedBatch } from './batch-codec.ts';
import { BATCH_CLAIM, CODEC_GZIP, CODEC_NONE, CODEC_ZSTD, HEADER_BYTES, readBatchHeader } from './batch-header.ts';
import type { BatchCodec } from './batch-header.ts';
import { buildControlBatch } from './batch-builder.ts';
import { crc32c } from './crc32c.ts';
import { emptiedBatch, filterBatch } from './filter-batch.ts';
import { headerSeed, stampBatch, verifyHeaderCrc, verifyRecordsCrc } from './header-checksum.ts';
import { encodeRecordSet } from './record-set.ts';
import type { RecordInput } from './record-set.ts';
import { RecordTable } from './record-table.ts';
import { arbitraryCodec, arbitraryRecord, buildBatch, PRODUCER_ID } from './testing/batches.ts';
import { reasonOf } from './testing/reason-of.ts';

const SEED = headerSeed('topic', 3);
const BASE = 5_000_000_000n;
const PRODUCER = { producerId: PRODUCER_ID, producerEpoch: 3, firstSequence: 700n };

function stamped(records: readonly RecordInput[], codec: BatchCodec = CODEC_NONE, producer = {}): Buffer {
  const batch = buildBatch(records, codec, producer);
  stampBatch(batch, { baseOffset: BASE, leaderEpoch: 7, appendTimeMs: 99n }, SEED);
  return batch;
}

function filter(batch: Uint8Array, keeps: readonly boolean[]): Buffer[] {
  const table = new RecordTable();
  table.load(batch, 0);
  return filterBatch(table, Uint8Array.from(keeps, Number), SEED).map((part) => Buffer.from(part));
}

/** What a reader sees of a record, offset included, without how the offset was written. */
function contentOf({ records }: DecodedBatch): object[] {
  return records.map(({ offset, key, value, headers, timestampMs, traceparent, tracestate }) => ({
    offset,
    key: key && Buffer.from(key).toString('hex'),
    value: value && Buffer.from(value).toString('hex'),
    headers: headers.map(({ name, value: content }) => [name, Buffer.from(content).toString('hex')]),
    timestampMs,
    traceparent,
    tracestate,
  }));
}

describe('filterBatch', () => {
  it('leaves exactly the kept records with their offsets, whatever the codec, and again when filtered again', () => {
    const plan = fc.record({
      records: fc.array(fc.tuple(arbitraryRecord, fc.nat(3)), { minLength: 1, maxLength: 200, size: 'max' }),
      codec: arbitraryCodec,
      producer: fc.boolean(),
    });
    fc.assert(
      fc.property(plan, ({ records, codec, producer }) => {
        let batch = stamped(
          records.map(([record]) => record),
          codec,
          producer ? PRODUCER : {},
        );
        const before = readBatchHeader(Buffer.from(batch));
        let expected = contentOf(decodeBatch(batch));
        let lives = records.map(([, life]) => life);
        for (let round = 0; round < 3; round += 1) {
          const keeps = lives.map((life) => life > round);
          expected = expected.filter((_, index) => keeps[index]);
          lives = lives.filter((life) => life > round);
          const parts = filter(batch, keeps);
          expect(parts).toHaveLength(expected.length === 0 ? 0 : 1);
          if (parts[0] === undefined) return;
          if (keeps.every(Boolean)) expect(parts[0].equals(batch)).toBe(true);
          batch = parts[0];
          expect(contentOf(decodeBatch(batch))).toEqual(expected);
          expect([verifyHeaderCrc(batch, 0, SEED), verifyRecordsCrc(batch, 0)]).toEqual([true, true]);
          const { baseOffset, leaderEpoch, appendTimeMs, lastOffsetDelta } = before;
          const { producerId, producerEpoch, firstSequence, type } = before;
          const kept = { baseOffset, leaderEpoch, appendTimeMs, lastOffsetDelta, producerEpoch, firstSequence, type };
          expect(readBatchHeader(batch)).toMatchObject(kept);
          expect(Buffer.from(readBatchHeader(batch).producerId).equals(producerId)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('describes the records that are left as a producer would', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(arbitraryRecord, fc.boolean()), { minLength: 2, maxLength: 9 }), (plan) => {
        const left = plan.filter(([, kept]) => kept).map(([record]) => record);
        const [part] = filter(
          stamped(plan.map(([record]) => record)),
          plan.map(([, kept]) => kept),
        );
        if (part === undefined) return;
        const { recordCount, firstTimestampMs, maxTimestampMs, minKeyHash, maxKeyHash, hasTombstones } =
          readBatchHeader(buildBatch(left));
        const described = { recordCount, firstTimestampMs, maxTimestampMs, minKeyHash, maxKeyHash, hasTombstones };
        expect(readBatchHeader(part)).toMatchObject(described);
      }),
    );
  });

  it('keeps the codec while it shrinks the records, and stores them as they are when not', () => {
    const long = (fill: string): RecordInput => ({
      key: Buffer.from(fill),
      value: Buffer.alloc(900, fill),
      timestampMs: 1n,
    });
    const short = { key: Buffer.from('short'), value: Buffer.from('x'), timestampMs: 1n };
    const batch = stamped([long('a'), long('b'), short], CODEC_GZIP);
    expect(readBatchHeader(filter(batch, [true, false, true])[0]!).codec).toBe(CODEC_GZIP);
    expect(readBatchHeader(filter(batch, [false, false, true])[0]!).codec).toBe(CODEC_NONE);
  });

  it('splits a batch that the offsets of its records would make too large', () => {
    const records = Array.from({ length: 100_000 }, (_, index) => ({
      key: Buffer.from(String(index).padStart(9, '0')),
      value: Buffer.from('1'),
      timestampMs: 100n,
    }));
    const batch = stamped(records, CODEC_NONE, PRODUCER);
    expect(batch.length).toBeGreaterThan(BATCH_BYTES_MAX * 0.85);
    const parts = filter(
      batch,
      records.map((_, index) => index !== 5),
    );
    expect(parts.length).toBe(2);
    let next = BASE;
    const offsets: bigint[] = [];
    for (const part of parts) {
      expect(part.length).toBeLessThanOrEqual(BATCH_BYTES_MAX);
      expect([verifyHeaderCrc(part, 0, SEED), verifyRecordsCrc(part, 0)]).toEqual([true, true]);
      const { header, records: left } = decodeBatch(part);
      expect(header.baseOffset).toBe(next);
      expect(header.firstSequence).toBe(700n + next - BASE);
      next = header.baseOffset + BigInt(header.lastOffsetDelta) + 1n;
      offsets.push(...left.map(({ offset }) => offset));
    }
    expect(next).toBe(BASE + 100_000n);
    expect(offsets).toEqual(records.map((_, index) => BASE + BigInt(index)).filter((offset) => offset !== BASE + 5n));
  });
});

describe('RecordTable', () => {
  it('refuses what decodeBatch refuses', () => {
    const record = { key: Buffer.from('key'), value: Buffer.from('value'), timestampMs: 1n };
    const load = (batch: Buffer) => reasonOf(() => new RecordTable().load(batch, 0));
    const changed = stamped([record]);
    changed[HEADER_BYTES + 4]! ^= 1;
    expect(load(changed)).toBe('CHECKSUM_MISMATCH');
    expect(load(buildControlBatch(BATCH_CLAIM, Buffer.from('payload')))).toBe('INVALID_BATCH');
    const miscounted = stamped([record, record]);
    miscounted.writeInt32LE(1, 39);
    expect(load(miscounted)).toBe('INVALID_BATCH');
    for (const deltas of [
      [1, 0],
      [0, 2],
    ]) {
      const set = encodeRecordSet(deltas.map((offsetDelta) => ({ ...record, offsetDelta })));
      const plain = stamped([record, { ...record, value: Buffer.alloc(9) }]);
      const batch = Buffer.concat([plain.subarray(0, HEADER_BYTES), set]);
      expect(batch.length).toBe(plain.length);
      batch.writeUInt32LE(crc32c(set), 34);
      expect(load(batch)).toBe('INVALID_BATCH');
    }
  });

  it('throws nothing but PartitaError for mutated batches, and only where decodeBatch throws', () => {
    const batches = fc.record({
      records: fc.array(arbitraryRecord, { minLength: 1, maxLength: 5 }),
      codec: arbitraryCodec,
    });
    fc.assert(
      fc.property(
        batches,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
        ({ records, codec }, changes) => {
          const batch = stamped(records, codec);
          for (const [at, byte] of changes) batch[HEADER_BYTES + (at % (batch.length - HEADER_BYTES))] = byte;
          batch.writeUInt32LE(crc32c(batch.subarray(HEADER_BYTES)), 34);
          const table = new RecordTable();
          const loaded = reasonOf(() => table.load(batch, 0));
          const decoded = reasonOf(() => decodeBatch(batch));
          if (decoded === undefined) expect(loaded).toBeUndefined();
          else if (loaded !== undefined) expect(table.count).toBe(0);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('can be filled again, with a batch of another codec and size', () => {
    const table = new RecordTable();
    const many = Array.from({ length: 3000 }, (_, index) => ({ key: Buffer.from([index % 256]), timestampMs: 5n }));
    table.load(stamped(many, CODEC_ZSTD), 0);
    expect([table.count, table.isTombstone(2999), table.offsetDelta(2999)]).toEqual([3000, true, 2999]);
    table.load(stamped([{ value: Buffer.from('v'), timestampMs: 0n }]), 0);
    expect([table.count, table.isTombstone(0), table.keyStart(0), table.timestampMs(0)]).toEqual([1, false, -1, 0n]);
  });
});

describe('emptiedBatch', () => {
  it('keeps offsets, epoch, time and the place in the session, for every codec, and nothing of the records', () => {
    for (const codec of [CODEC_NONE, CODEC_GZIP, CODEC_ZSTD] as const) {
      const records = ['a', 'b', 'c'].map((key) => ({
        key: Buffer.from(key),
        value: Buffer.alloc(200),
        timestampMs: 5n,
      }));
      const batch = stamped(records, codec, PRODUCER);
      const table = new RecordTable();
      table.load(batch, 0);
      const [empty = Buffer.alloc(0)] = emptiedBatch(table, SEED);
      expect(empty.length).toBe(HEADER_BYTES);
      expect([verifyHeaderCrc(empty, 0, SEED), verifyRecordsCrc(empty, 0)]).toEqual([true, true]);
      const { header, records: left } = decodeBatch(empty, 0);
      expect(left).toEqual([]);
      const { baseOffset, lastOffsetDelta, leaderEpoch, appendTimeMs, producerEpoch, firstSequence } = header;
      expect([baseOffset, lastOffsetDelta, leaderEpoch, appendTimeMs]).toEqual([BASE, 2, 7, 99n]);
      expect([producerEpoch, firstSequence, header.recordCount, header.codec]).toEqual([3, 700n, 0, CODEC_NONE]);
      expect(Buffer.from(header.producerId).equals(PRODUCER_ID)).toBe(true);
    }
  });
});
