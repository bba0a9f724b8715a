import { BATCH_DATA, batchTypeAt, decodeBatch, lastOffsetAt, readBatchHeader, verifyHeaderCrc } from '@partita/batch';
import type { BatchCodec } from '@partita/batch';
import type { MemoryDisk } from '@partita/testkit';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OffsetIndex } from '../offset-index.ts';
import { segmentPath } from '../segment-files.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import {
  compact,
  contentOf,
  controlBatch,
  dataBatch,
  DIR,
  newDisk,
  readSegments,
  recordsOf,
  SEED,
  text,
  writeSegment,
} from '../testing/compaction-fixture.ts';
import type { TextRecord } from '../testing/compaction-fixture.ts';
import type { CompactionResult, SealedSegment } from './compaction-plan.ts';

const keys = fc.option(fc.oneof(fc.constantFrom('', 'a', 'b', 'c', 'dd'), fc.nat(30).map(String)), { nil: undefined });
const values = fc.option(
  fc.oneof(
    fc.string({ maxLength: 10 }),
    fc.nat(200).map((count) => 'x'.repeat(count)),
  ),
  { nil: undefined },
);
const batchPlan = fc.record({
  records: fc.array(fc.record({ key: keys, value: values }), { minLength: 1, maxLength: 12, size: 'max' }),
  codec: fc.constantFrom<BatchCodec>(1, 2, 3, 4),
  isControl: fc.nat(9).map((number) => number === 0),
});
const roundPlan = fc.record({
  segments: fc.array(fc.array(batchPlan, { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
  mapBytesMax: fc.constantFrom(1, 150_000, 400_000, 4_000_000),
  segmentBytesMax: fc.constantFrom(400, 1500, 4000, 100_000),
  // Those below an earlier pass's end are due, or none, or (with no delay) all.
  tombstonesEnd: fc.constantFrom(
    () => 0n,
    (cleanedTo: bigint) => cleanedTo,
    (_: bigint, end: bigint) => end,
  ),
});

it('leaves the last record of each key, everything else unchanged, over passes with new data in between', async () => {
  const rounds = fc.array(roundPlan, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(rounds, async (plans) => {
      const disk = await newDisk();
      let segments: SealedSegment[] = [];
      let model: TextRecord[] = [];
      const controls: Buffer[] = [];
      let end = 0n;
      let cleanedTo = 0n;
      for (const plan of plans) {
        for (const batches of plan.segments) {
          const base = end;
          const made: Buffer[] = [];
          for (const { records, codec, isControl } of batches) {
            const batch = isControl ? controlBatch(end) : dataBatch(end, records, codec);
            if (isControl) controls.push(batch);
            else model.push(...recordsOf([batch]).map(text));
            made.push(batch);
            end = lastOffsetAt(batch, 0) + 1n;
          }
          if (end > base) segments.push(await writeSegment(disk, DIR, base, made));
        }
        const before = await contentOf(disk);
        const tombstonesEndBelow = plan.tombstonesEnd(cleanedTo, end);
        const { mapBytesMax, segmentBytesMax } = plan;
        const changes = { cleanedTo, tombstonesEndBelow, mapBytesMax, segmentBytesMax };
        const { result, after } = await compact(disk, segments, changes);
        expect(result.cleanedTo > cleanedTo || cleanedTo === end).toBe(true);
        if (mapBytesMax > 400_000) expect(result.cleanedTo).toBe(end);
        cleanedTo = result.cleanedTo;

        const lastOf = new Map(
          model.filter(({ offset }) => offset < cleanedTo).map(({ key, offset }) => [key, offset]),
        );
        let ended = 0;
        model = model.filter(({ key, value, offset }) => {
          if (key === undefined || offset >= cleanedTo) return true;
          if (lastOf.get(key) !== offset) return false;
          if (value !== undefined || offset >= tombstonesEndBelow) return true;
          ended += 1;
          return false;
        });
        const now = await contentOf(disk);
        expect(recordsOf(now).map(text)).toEqual(model);
        expect(result.removedTombstones).toBe(ended);
        expect(now.filter((batch) => batchTypeAt(batch, 0) !== BATCH_DATA)).toEqual(controls);
        checkBatches(before, now);
        await checkSegments(disk, segments, { result, after }, segmentBytesMax);
        segments = after;
      }
    }),
    { numRuns: 60 },
  );
});

/** Batches that lost nothing have their bytes, the others their place and origin. */
function checkBatches(before: readonly Buffer[], now: readonly Buffer[]): void {
  const byOffset = new Map(before.map((batch) => [readBatchHeader(batch).baseOffset, batch]));
  for (const batch of now) {
    const old = byOffset.get(readBatchHeader(batch).baseOffset)!;
    const { header, records } = decodeBatch(batch);
    if (decodeBatch(old).records.length === records.length) {
      expect(batch.equals(old)).toBe(true);
      continue;
    }
    const { baseOffset, lastOffsetDelta, leaderEpoch, appendTimeMs, producerEpoch, firstSequence } =
      readBatchHeader(old);
    const kept = { baseOffset, lastOffsetDelta, leaderEpoch, appendTimeMs, producerEpoch, firstSequence };
    expect(header).toMatchObject(kept);
    expect(verifyHeaderCrc(batch, 0, SEED)).toBe(true);
  }
}

async function checkSegments(
  disk: MemoryDisk,
  before: readonly SealedSegment[],
  { result, after }: { result: CompactionResult; after: readonly SealedSegment[] },
  segmentBytesMax: number,
): Promise<void> {
  const stored = await readSegments(disk, DIR);
  expect(stored.map(({ baseOffset, size }) => ({ baseOffset, size }))).toEqual(
    after.map(({ baseOffset, size }) => ({ baseOffset, size })),
  );
  after.forEach((segment, index) => {
    const next = after[index + 1];
    if (next === undefined) return;
    expect(next.baseOffset).toBe(segment.endOffset);
    if (next.baseOffset >= result.cleanedTo) return;
    expect(segment.size + next.size - SEGMENT_HEADER_BYTES).toBeGreaterThan(segmentBytesMax);
  });
  for (const group of result.groups) {
    const single = group.sources.length === 1;
    if (!single) expect(group.size).toBeLessThanOrEqual(segmentBytesMax);
    const content = await disk.readFile(segmentPath(DIR, group.baseOffset, 'log'));
    expect(decodeSegmentHeader(content)?.createTimeMs).toBe(7000n + group.baseOffset);
    const old = before.find(({ baseOffset }) => baseOffset === group.baseOffset);
    expect(old === undefined || !single || old.size !== group.size || group.size > SEGMENT_HEADER_BYTES).toBe(true);
    const bytes = await disk.readFile(segmentPath(DIR, group.baseOffset, 'idx'));
    const index = OffsetIndex.decode(bytes, SEED);
    expect(index.count * 40).toBe(bytes.length);
    const { batches } = stored.find(({ baseOffset }) => baseOffset === group.baseOffset)!;
    const last = batches.at(-1);
    expect(index.at(index.count - 1)?.baseOffset).toBe(last && readBatchHeader(last).baseOffset);
    expect(index.maxTimestampMs).toBe(group.maxTimestampMs);
    const times = batches.map((batch) => readBatchHeader(batch).maxTimestampMs);
    expect(group.maxTimestampMs).toBe(
      times.reduce<bigint | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined),
    );
    for (let number = 0; number < index.count; number += 1) {
      const entry = index.at(number)!;
      const header = readBatchHeader(content, entry.position);
      expect([header.baseOffset, header.headerCrc, header.batchBytes]).toEqual([
        entry.baseOffset,
        entry.headerCrc,
        entry.batchBytes,
      ]);
    }
  }
}
