import { crc32c, HEADER_BYTES, stampBatch } from '@partita/batch';
import { BATCH_BYTES_MAX } from '@partita/domain';
import type { MemoryDisk } from '@partita/testkit';
import { describe, expect, it } from 'vitest';
import type { Disk } from '../disk.ts';
import { OffsetIndex } from '../offset-index.ts';
import { segmentPath } from '../segment-files.ts';
import { SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import {
  AT_ONCE,
  compact,
  contentOf,
  dataBatch,
  DIR,
  newDisk,
  planOf,
  recordsOf,
  SEED,
  text,
  writeSegment,
} from '../testing/compaction-fixture.ts';
import { compactSegments } from './compact-segments.ts';
import type { SealedSegment } from './compaction-plan.ts';
import { compactionStatePath, encodeCompactionState, NEVER_COMPACTED } from './compaction-state.ts';
import { swapIn } from './compaction-swap.ts';

describe('compactSegments', () => {
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
      writeSynced: (buffers, position) => file.writeSynced(buffers, position),
      datasync: () => file.datasync(),
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      close: () => file.close(),
    };
  };
  return {
    open,
    fileBytes: (path: string) => disk.fileBytes(path),
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
