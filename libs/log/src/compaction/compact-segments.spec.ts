import {
  BATCH_DATA,
  batchTypeAt,
  crc32c,
  decodeBatch,
  HEADER_BYTES,
  lastOffsetAt,
  readBatchHeader,
  stampBatch,
  verifyHeaderCrc,
} from '@partita/batch';
import type { BatchCodec } from '@partita/batch';
import { BATCH_BYTES_MAX } from '@partita/domain';
import { MemoryDisk } from '@partita/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Disk } from '../disk.ts';
import { OffsetIndex } from '../offset-index.ts';
import { segmentPath } from '../segment-files.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import {
  AT_ONCE,
  controlBatch,
  dataBatch,
  planOf,
  readSegments,
  recordsOf,
  SEED,
  writeSegment,
} from '../testing/compaction-fixture.ts';
import { compactSegments } from './compact-segments.ts';
import type { CompactionPlan, CompactionResult, SealedSegment } from './compaction-plan.ts';
import { compactionStatePath, encodeCompactionState, NEVER_COMPACTED } from './compaction-state.ts';
import { swapIn } from './compaction-swap.ts';

const DIR = '/p';

async function newDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeDirectory(DIR);
  return disk;
}

/** Runs a pass and puts its result in place; returns it and the segments that the log has then. */
async function compact(
  disk: MemoryDisk,
  segments: readonly SealedSegment[],
  changes: Partial<CompactionPlan> = {},
): Promise<{ result: CompactionResult; after: SealedSegment[] }> {
  const result = await compactSegments(disk, planOf(DIR, segments, changes), AT_ONCE);
  await swapIn(disk, DIR, { ...NEVER_COMPACTED, pending: result.groups.map(({ sources }) => sources) });
  const replaced = new Set(result.groups.flatMap(({ sources }) => sources));
  const after = [...segments.filter(({ baseOffset }) => !replaced.has(baseOffset)), ...result.groups];
  after.sort((a, b) => Number(a.baseOffset - b.baseOffset));
  return { result, after };
}

/** The last batch of each of the segments, by offset. */
async function contentOf(disk: MemoryDisk): Promise<Buffer[]> {
  return (await readSegments(disk, DIR)).flatMap(({ batches }) => batches);
}

function text({
  offset,
  key,
  value,
}: {
  offset: bigint;
  key?: Uint8Array | undefined;
  value?: Uint8Array | undefined;
}) {
  return { offset, key: key && Buffer.from(key).toString(), value: value && Buffer.from(value).toString() };
}

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
  endsTombstones: fc.boolean(),
});

describe('compactSegments', () => {
  it('leaves the last record of each key, everything else unchanged, over passes with new data in between', async () => {
    const rounds = fc.array(roundPlan, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(rounds, async (plans) => {
        const disk = await newDisk();
        let segments: SealedSegment[] = [];
        let model: { offset: bigint; key: string | undefined; value: string | undefined }[] = [];
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
          const tombstonesEndBelow = plan.endsTombstones ? cleanedTo : 0n;
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

  it('leaves a segment alone that loses nothing, and one that cannot be merged with its neighbour', async () => {
    const disk = await newDisk();
    const value = 'x'.repeat(300);
    const clean = await writeSegment(disk, DIR, 0n, [dataBatch(0n, [{ key: 'a', value }])]);
    const dirty = await writeSegment(disk, DIR, 1n, [dataBatch(1n, [{ key: 'b' }, { key: 'b', value }])]);
    const plan = planOf(DIR, [clean, dirty], { segmentBytesMax: 700 });
    disk.counts.clear();
    const { groups, ...sums } = await compactSegments(disk, plan, AT_ONCE);
    expect(groups.map(({ sources }) => sources)).toEqual([[1n]]);
    expect(sums).toMatchObject({ recordsBefore: 3, recordsAfter: 2, cleanedTo: 3n });
    expect(sums.bytesBefore).toBe(clean.size + dirty.size);
    expect(sums.bytesAfter).toBe(clean.size + groups[0]!.size);
    // A log and an index, each written and synced once.
    expect(disk.counts.get('datasync')).toBe(2);
  });

  it('makes a segment without batches when none is left', async () => {
    const disk = await newDisk();
    const first = await writeSegment(disk, DIR, 0n, [dataBatch(0n, [{ key: 'a', value: '1' }])]);
    const second = await writeSegment(disk, DIR, 1n, [dataBatch(1n, [{ key: 'a', value: '2' }])]);
    const { result } = await compact(disk, [first, second], { segmentBytesMax: SEGMENT_HEADER_BYTES });
    expect(result.groups).toMatchObject([
      { sources: [0n], endOffset: 1n, size: SEGMENT_HEADER_BYTES, maxTimestampMs: undefined },
    ]);
    expect((await disk.readFile(segmentPath(DIR, 0n, 'idx'))).length).toBe(0);
    expect(recordsOf(await contentOf(disk)).map(text)).toEqual([{ offset: 1n, key: 'a', value: '2' }]);
  });

  it('takes segments whose last offsets were compacted away', async () => {
    const disk = await newDisk();
    const first = await writeSegment(disk, DIR, 0n, [dataBatch(2n, [{ key: 'a', value: '1' }])]);
    const second = await writeSegment(disk, DIR, 9n, [dataBatch(20n, [{ key: 'a', value: '2' }])]);
    const { after } = await compact(disk, [
      { ...first, endOffset: 9n },
      { ...second, endOffset: 50n },
    ]);
    expect(after).toMatchObject([{ baseOffset: 0n, endOffset: 50n }]);
    expect(recordsOf(await contentOf(disk)).map(text)).toEqual([{ offset: 20n, key: 'a', value: '2' }]);
  });

  it('keeps a batch whose records no reader can decode, and what it may have ended', async () => {
    const disk = await newDisk();
    const garbage = dataBatch(1n, [{ key: 'a', value: '22' }]);
    garbage[HEADER_BYTES + 1] = 0xff;
    garbage.writeUInt32LE(crc32c(garbage.subarray(HEADER_BYTES)), 34);
    stampBatch(garbage, { baseOffset: 1n, leaderEpoch: 0, appendTimeMs: 9001n }, SEED);
    const batches = [dataBatch(0n, [{ key: 'a', value: '1' }]), garbage, dataBatch(2n, [{ key: 'b', value: '3' }])];
    const segment = await writeSegment(disk, DIR, 0n, [...batches, dataBatch(3n, [{ key: 'b', value: '4' }])]);
    const { result } = await compact(disk, [segment]);
    expect(result).toMatchObject({ undecodableBatches: 1, recordsAfter: 3 });
    const now = await contentOf(disk);
    expect(now.slice(0, 2)).toEqual(batches.slice(0, 2));
  });

  it('reads every byte with its checksums, and leaves nothing behind when one is wrong', async () => {
    const disk = await newDisk();
    const records = (value: string) => [
      { key: 'a', value },
      { key: 'b', value: value.repeat(20) },
    ];
    const batches = [0n, 2n, 4n].map((base) => dataBatch(base, records(String(base))));
    const segments = [
      await writeSegment(disk, DIR, 0n, batches.slice(0, 2)),
      await writeSegment(disk, DIR, 4n, batches.slice(2)),
    ];
    const names = await disk.list(DIR);
    for (const { baseOffset, size } of segments) {
      for (let at = 0; at < size; at += 1) {
        const flip = (content: Buffer): Buffer => {
          content[at]! ^= 1;
          return content;
        };
        disk.tamper(segmentPath(DIR, baseOffset, 'log'), flip);
        await expect(compactSegments(disk, planOf(DIR, segments), AT_ONCE)).rejects.toMatchObject({
          reason: 'CORRUPT_BATCH',
        });
        expect(await disk.list(DIR)).toEqual(names);
        disk.tamper(segmentPath(DIR, baseOffset, 'log'), flip);
      }
    }
    const [first, second] = segments as [SealedSegment, SealedSegment];
    for (const plan of [
      planOf(DIR, [first, { ...second, size: second.size + 1 }]),
      planOf(DIR, [first, { ...second, size: second.size - 1 }]),
      planOf(DIR, [first, { ...second, endOffset: 5n }]),
      planOf(DIR, [{ ...first, size: second.size }, second]),
      planOf(DIR, segments, { identity: { ...planOf(DIR, []).identity, partition: 4 } }),
    ]) {
      await expect(compactSegments(disk, plan, AT_ONCE)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
    }
    expect((await compactSegments(disk, planOf(DIR, segments), AT_ONCE)).recordsAfter).toBe(2);
  });

  it('finds offsets that go back, though every checksum is right', async () => {
    const disk = await newDisk();
    const batches = [dataBatch(5n, [{ key: 'a', value: '1' }]), dataBatch(5n, [{ key: 'a', value: '2' }])];
    const segment = await writeSegment(disk, DIR, 0n, batches);
    await expect(compactSegments(disk, planOf(DIR, [segment]), AT_ONCE)).rejects.toMatchObject({
      reason: 'CORRUPT_BATCH',
    });
  });

  it('removes its files when it is told to end, and when the disk fails, at any of its steps', async () => {
    const disk = await newDisk();
    const segments = [];
    for (const base of [0n, 2n, 4n, 6n]) {
      segments.push(
        await writeSegment(disk, DIR, base, [dataBatch(base, [{ key: 'a', value: '1' }, { key: `${base}` }])]),
      );
    }
    const names = await disk.list(DIR);
    const plan = planOf(DIR, segments, { segmentBytesMax: 500 });
    let steps = 0;
    await compactSegments(disk, plan, { ...AT_ONCE, wait: async () => void (steps += 1) });
    for (const name of await disk.list(DIR)) if (!names.includes(name)) await disk.unlink(`${DIR}/${name}`);
    for (let step = 0; step < steps; step += 1) {
      let left = step;
      const wait = (): Promise<void> => (left-- === 0 ? Promise.reject(new Error('ended')) : Promise.resolve());
      await expect(compactSegments(disk, plan, { ...AT_ONCE, wait })).rejects.toThrow('ended');
      expect(await disk.list(DIR)).toEqual(names);
    }
    for (const operation of ['writev', 'datasync', 'syncDirectory'] as const) {
      disk.failNext(operation, 'EIO');
      await expect(compactSegments(disk, plan, AT_ONCE)).rejects.toMatchObject({ code: 'EIO' });
      expect(await disk.list(DIR)).toEqual(names);
    }
    expect((await compactSegments(disk, plan, AT_ONCE)).groups.length).toBeGreaterThan(0);
  });

  it('is durable on return, names included', async () => {
    const disk = await newDisk();
    const segment = await writeSegment(disk, DIR, 0n, [dataBatch(0n, [{ key: 'a' }, { key: 'a', value: '1' }])]);
    const { groups } = await compactSegments(disk, planOf(DIR, [segment]), AT_ONCE);
    disk.crash();
    await swapIn(disk, DIR, { ...NEVER_COMPACTED, pending: groups.map(({ sources }) => sources) });
    expect(recordsOf(await contentOf(disk)).map(text)).toEqual([{ offset: 1n, key: 'a', value: '1' }]);
    const index = OffsetIndex.decode(await disk.readFile(segmentPath(DIR, 0n, 'idx')), SEED);
    expect(index.count).toBe(1);
  });

  it('does not begin while another is being swapped in', async () => {
    const disk = await newDisk();
    const pending = encodeCompactionState({ ...NEVER_COMPACTED, pending: [[0n]] });
    await disk.writeFileAtomically(compactionStatePath(DIR), pending);
    await expect(compactSegments(disk, planOf(DIR, []), AT_ONCE)).rejects.toThrow('being swapped in');
  });

  it('moves no more bytes in a second than it may, and no more than a window at once', async () => {
    const disk = await newDisk();
    const value = 'v'.repeat(1_500_000);
    const batches = [0n, 2n, 4n].map((base) =>
      dataBatch(base, [
        { key: 'a', value: '1' },
        { key: `${base}`, value },
      ]),
    );
    const segments = [await writeSegment(disk, DIR, 0n, batches)];
    let nowMs = 1000;
    const moved: { atMs: number; bytes: number }[] = [];
    const watched = watchedDisk(disk, (bytes) => moved.push({ atMs: nowMs, bytes }));
    const hooks = {
      ...AT_ONCE,
      monotonicMs: () => nowMs,
      wait: async (ms: number) => void (nowMs += ms),
    };
    const bytesPerSecondMax = 1_000_000;
    const { groups } = await compactSegments(watched, planOf(DIR, segments, { bytesPerSecondMax }), hooks);
    expect(groups).toHaveLength(1);
    let sum = 0;
    const largest = Math.max(...moved.map(({ bytes }) => bytes));
    for (const { atMs, bytes } of moved) {
      sum += bytes;
      expect(sum - largest).toBeLessThanOrEqual(((atMs - 1000) * bytesPerSecondMax) / 1000 + 1000);
    }
    expect(sum).toBeGreaterThan(3 * segments[0]!.size * 0.99);
    expect(largest).toBeLessThanOrEqual(BATCH_BYTES_MAX);
  });
});

/** The disk, with the bytes of each read and write told. */
function watchedDisk(disk: MemoryDisk, moved: (bytes: number) => void): Disk {
  const open: Disk['open'] = async (path, mode) => {
    const file = await disk.open(path, mode);
    return {
      read: (buffer, position) => {
        moved(buffer.length);
        return file.read(buffer, position);
      },
      writev: (buffers, position) => {
        moved(buffers.reduce((sum, { length }) => sum + length, 0));
        return file.writev(buffers, position);
      },
      datasync: () => file.datasync(),
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      close: () => file.close(),
    };
  };
  return {
    open,
    list: (directory) => disk.list(directory),
    makeDirectory: (directory) => disk.makeDirectory(directory),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    syncDirectory: (directory) => disk.syncDirectory(directory),
    readFile: (path) => disk.readFile(path),
    writeFileAtomically: (path, content) => disk.writeFileAtomically(path, content),
    freeBytes: (directory) => disk.freeBytes(directory),
  };
}

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
