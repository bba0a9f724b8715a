import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PartitaError } from '@partita/domain';
import { batchBytesAt, HEADER_BYTES, isBatchAt, readBatchHeader, writeBatchHeader } from './batch-header.ts';
import type { BatchHeader } from './batch-header.ts';
import {
  appendTimeMsAt,
  baseOffsetAt,
  batchTypeAt,
  headerCrcAt,
  lastOffsetAt,
  lastOffsetDeltaAt,
  leaderEpochAt,
  maxTimestampMsAt,
  recordCountAt,
  recordsAt,
  recordsCrcAt,
} from './header-access.ts';
import { headerSeed, stampBatch, verifyHeaderCrc, verifyRecordsCrc } from './header-checksum.ts';
import { buildBatch } from './testing/batches.ts';

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const arbitraryHeader: fc.Arbitrary<Omit<BatchHeader, 'batchBytes'>> = fc.record({
  baseOffset: int64,
  leaderEpoch: int32,
  appendTimeMs: int64,
  headerCrc: uint32,
  recordsCrc: uint32,
  recordCount: int32,
  lastOffsetDelta: int32,
  firstTimestampMs: int64,
  maxTimestampMs: int64,
  uncompressedBytes: int32,
  producerId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  producerEpoch: int32,
  firstSequence: int64,
  minKeyHash: uint32,
  maxKeyHash: uint32,
  codec: fc.constantFrom(1, 2, 3, 4),
  type: fc.constantFrom(1, 2, 3, 4),
  hasTombstones: fc.boolean(),
  recordsBytes: fc.integer({ min: 0, max: 2 ** 28 - 1 - 123 }),
});

const record = { key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: 1n };

describe('the canonical header', () => {
  it('keeps every value of every field at any position', () => {
    fc.assert(
      fc.property(arbitraryHeader, fc.nat(50), (header, position) => {
        const buf = Buffer.alloc(position + HEADER_BYTES);
        writeBatchHeader(buf, header, position);
        expect(isBatchAt(buf, position)).toBe(true);
        const read = readBatchHeader(buf, position);
        expect({ ...read, producerId: Uint8Array.from(read.producerId) }).toEqual({
          ...header,
          batchBytes: 128 + header.recordsBytes,
        });
        expect(batchBytesAt(buf, position)).toBe(read.batchBytes);
        expect(baseOffsetAt(buf, position)).toBe(header.baseOffset);
        expect(lastOffsetAt(buf, position)).toBe(header.baseOffset + BigInt(header.lastOffsetDelta));
        expect(lastOffsetDeltaAt(buf, position)).toBe(header.lastOffsetDelta);
        expect(leaderEpochAt(buf, position)).toBe(header.leaderEpoch);
        expect(appendTimeMsAt(buf, position)).toBe(header.appendTimeMs);
        expect(maxTimestampMsAt(buf, position)).toBe(header.maxTimestampMs);
        expect(recordCountAt(buf, position)).toBe(header.recordCount);
        expect(headerCrcAt(buf, position)).toBe(header.headerCrc);
        expect(recordsCrcAt(buf, position)).toBe(header.recordsCrc);
        expect(batchTypeAt(buf, position)).toBe(header.type);
      }),
    );
  });

  it('is refused with INVALID_BATCH when any fixed byte, length, codec, type or flag is off', () => {
    const batch = buildBatch([record]);
    const data = new Set([...range(6, 14), ...range(15, 19), ...range(20, 28), ...range(29, 33), ...range(34, 38)]);
    for (const [from, to] of [
      [39, 43],
      [44, 48],
      [49, 57],
      [58, 66],
      [67, 71],
      [73, 89],
      [90, 94],
      [95, 103],
      [104, 108],
      [109, 113],
    ] as const) {
      for (const at of range(from, to)) data.add(at);
    }
    for (let at = 0; at < HEADER_BYTES; at++) {
      const changed = Buffer.from(batch);
      changed[at] = (changed[at] as number) ^ 0x48;
      expect([at, isBatchAt(changed, 0)]).toEqual([at, data.has(at)]);
      if (!data.has(at)) expect(() => readBatchHeader(changed)).toThrow(PartitaError);
    }
  });

  it('is refused where fewer than 128 bytes are left', () => {
    const batch = buildBatch([record]);
    expect(isBatchAt(batch, 5)).toBe(false);
    expect(() => readBatchHeader(batch.subarray(0, 127))).toThrow(/127 bytes are left/);
    expect(() => readBatchHeader(batch, -1)).toThrow(PartitaError);
  });
});

describe('stamping', () => {
  const stamp = { baseOffset: 2n ** 40n, leaderEpoch: 7, appendTimeMs: 1_763_800_000_123n };

  it('writes offset, epoch and time in place and leaves all else as it was', () => {
    const batch = buildBatch([record]);
    const stamped = Buffer.from(batch);
    stampBatch(stamped, stamp, headerSeed('topic', 0));
    const { headerCrc, ...rest } = readBatchHeader(stamped);
    expect({ headerCrc: 0, ...rest }).toEqual({ ...readBatchHeader(batch), ...stamp });
    expect(stamped.subarray(33).equals(batch.subarray(33))).toBe(true);
    expect(verifyHeaderCrc(stamped, 0, headerSeed('topic', 0))).toBe(true);
    expect(headerCrc).not.toBe(0);
  });

  it('does not verify in another partition or another topic', () => {
    const batch = buildBatch([record]);
    stampBatch(batch, stamp, headerSeed('topic', 0));
    expect(verifyHeaderCrc(batch, 0, headerSeed('topic', 1))).toBe(false);
    expect(verifyHeaderCrc(batch, 0, headerSeed('topid', 0))).toBe(false);
  });

  it('does not verify when any bit of the header or of the records changed', () => {
    const batch = buildBatch([record]);
    const seed = headerSeed('topic', 0);
    stampBatch(batch, stamp, seed);
    const inSecond = Buffer.concat([Buffer.alloc(9), batch]);
    expect(verifyHeaderCrc(inSecond, 9, seed)).toBe(true);
    for (let bit = 0; bit < batch.length * 8; bit++) {
      const changed = Buffer.from(batch);
      changed[bit >>> 3] = (changed[bit >>> 3] as number) ^ (1 << (bit & 7));
      expect(verifyHeaderCrc(changed, 0, seed) && verifyRecordsCrc(changed, 0)).toBe(false);
    }
  });

  it('calls records that are cut short wrong', () => {
    const batch = buildBatch([record]);
    expect(verifyRecordsCrc(batch, 0)).toBe(true);
    expect(recordsAt(batch, 0)).toHaveLength(batch.length - HEADER_BYTES);
    expect(verifyRecordsCrc(batch.subarray(0, batch.length - 1), 0)).toBe(false);
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
