import { MemoryDisk } from '@partita/testkit';
import { expect, it } from 'vitest';
import type { PartitionLog } from './partition-log.ts';
import { INDEX_ENTRY_BYTES } from './offset-index.ts';
import { DIRECTORY, LogBench, makeBatch, readAll } from './testing/log-fixture.ts';

const FIRST_LOG = `${DIRECTORY}/00000000000000000000.log`;
const FIRST_INDEX = `${DIRECTORY}/00000000000000000000.idx`;

it('begins the next write before it tells of the last, and writes the index beside it', async () => {
  const events: string[] = [];
  const bench = new LogBench();
  // The write of the first batch ends when the second one waits.
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const note = (event: string): void => {
    events.push(`${event}, told ${bench.synced.at(-1) ?? 0n}`);
  };
  recordWrites(bench.disk, note, released);
  const log = await bench.open();
  await appendWhileWriting(log, release);
  await bench.durable(2n, log);
  await log.close({ clean: false });

  expect(events).toEqual([
    'log begins, told 0',
    'log ends, told 0',
    'log begins, told 0',
    'index begins, told 1',
    'log ends, told 1',
    'index ends, told 1',
    'index begins, told 2',
    'index ends, told 2',
  ]);
});

it('tells nothing behind a failure of the index, though the batch beside it was synced', async () => {
  const bench = new LogBench();
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  recordWrites(
    bench.disk,
    (event) => {
      // The index is written beside the second batch: that one ends after it.
      if (event === 'index begins') throw Object.assign(new Error('broken'), { code: 'EIO' });
    },
    released,
  );
  const log = await bench.open();
  await appendWhileWriting(log, release);
  await log.close({ clean: false });

  expect(bench.failure?.reason).toBe('STORAGE_FAILED');
  expect([log.syncedEnd, bench.synced]).toEqual([2n, [1n]]);
});

it('counts a write of flush=os beside the next, and cuts off that one only when the disk is full', async () => {
  const bench = new LogBench({ flush: 'os' });
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const events: string[] = [];
  recordWrites(
    bench.disk,
    (event) => {
      events.push(`${event}, counted ${log.syncedEnd}, told ${bench.synced.at(-1) ?? 0n}`);
      // A third batch waits when the write of the second ends, and then half of it has room.
      if (events.length === 3) log.append(makeBatch({ base: 2n, epoch: 2 }));
      if (events.length === 4) bench.disk.capacityBytes = 0;
    },
    released,
  );
  const log = await bench.open();
  await appendWhileWriting(log, release);
  await bench.durable(2n, log);
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  expect(events).toEqual([
    'log begins, counted 0, told 0',
    'log ends, counted 0, told 0',
    'log begins, counted 1, told 0',
    'log ends, counted 1, told 1',
    'log begins, counted 1, told 1',
  ]);
  expect([log.syncedEnd, bench.synced, log.queuedBytes]).toEqual([
    2n,
    [1n, 2n],
    makeBatch({ base: 2n, epoch: 2 }).length,
  ]);
  expect((await bench.disk.readFile(FIRST_LOG)).length).toBe(log.bytes);

  bench.disk.capacityBytes = 1024 ** 3;
  bench.time.advance(1000);
  await bench.durable(3n, log);
  const batches = [
    makeBatch({ base: 0n, epoch: 1 }),
    makeBatch({ base: 1n, epoch: 2 }),
    makeBatch({ base: 2n, epoch: 2 }),
  ];
  expect((await readAll(log)).equals(Buffer.concat(batches))).toBe(true);
  await log.close({ clean: false });
});

/** Appends two batches, the second while the first is being written. Epochs of their own: each gets an index entry. */
async function appendWhileWriting(log: PartitionLog, release: () => void): Promise<void> {
  log.append(makeBatch({ base: 0n, epoch: 1 }));
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  log.append(makeBatch({ base: 1n, epoch: 2 }));
  release();
}

/** Notes when writes of batches and of index entries begin and end; those of batches end after `released`. */
function recordWrites(disk: MemoryDisk, note: (event: string) => void, released: Promise<void>): void {
  const open = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    const file = await open(path, mode);
    const writev = file.writev.bind(file);
    const name = path.endsWith('.log') ? 'log' : 'index';
    file.writev = async (buffers, position) => {
      const isHeader = name === 'log' && position === 0;
      if (!isHeader) note(`${name} begins`);
      if (name === 'log' && !isHeader) await released;
      await writev(buffers, position);
      if (!isHeader) note(`${name} ends`);
    };
    return file;
  };
}

it('syncs behind the writes with flush=os, and stops when that fails', async () => {
  const bench = new LogBench({ flush: 'os', syncBehindBytes: 400_000 });
  const log = await bench.open();
  const dueCount = 10;
  const syncCount = () => bench.disk.counts.get('datasync') ?? 0;
  const before = syncCount();
  await bench.fill(log, dueCount + 1, { valueBytes: 40_000 });
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  expect(syncCount()).toBe(before + 1);
  // The index tells how far the device is, so that a start after a kill writes again only what lies behind.
  expect((await bench.disk.readFile(FIRST_INDEX)).length).toBe(dueCount * INDEX_ENTRY_BYTES);
  bench.disk.failNext('datasync', 'EIO');
  for (let count = 0; bench.failure === undefined && count < dueCount + 2; count += 1) {
    log.append(makeBatch({ base: log.logEnd, valueBytes: 40_000 }));
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  }
  expect(bench.failure?.reason).toBe('STORAGE_FAILED');
  expect(() => log.append(makeBatch({ base: log.logEnd }))).toThrow(/check the disk/);
});

it('syncs the whole file after a write that broke off was cut out of it, and what it writes alone otherwise', async () => {
  const bench = new LogBench();
  const syncs: string[] = [];
  const open = bench.disk.open.bind(bench.disk);
  bench.disk.open = async (path, mode) => {
    const file = await open(path, mode);
    if (path !== FIRST_LOG || mode !== 'write') return file;
    const { writev, datasync } = file;
    file.writeSynced = async (buffers, position) => {
      syncs.push('of a write');
      await writev.call(file, buffers, position);
      await datasync.call(file);
    };
    file.datasync = async () => {
      syncs.push('of the file');
      await datasync.call(file);
    };
    return file;
  };
  const log = await bench.open();
  bench.disk.failNext('writev', 'ENOSPC');
  log.append(makeBatch({ base: 0n }));
  while (syncs.length === 0) await new Promise(setImmediate);
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  bench.time.advance(1000);
  await bench.durable(1n, log);
  await bench.fill(log, 1);
  expect(syncs).toEqual(['of a write', 'of the file', 'of a write']);
  await log.close({ clean: false });
});
