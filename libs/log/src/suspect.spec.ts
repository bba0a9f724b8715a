import { expect, it } from 'vitest';
import { DIRECTORY, LogBench, readAll } from './testing/log-fixture.ts';

const FIRST_LOG = `${DIRECTORY}/00000000000000000000.log`;
const FIRST_INDEX = `${DIRECTORY}/00000000000000000000.idx`;

it('tells that it is suspect before the proof of that is written over', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 6, { valueBytes: 40_000 });
  await log.close({ clean: false });
  bench.disk.tamper(FIRST_LOG, (content) => content.subarray(0, content.length - batches[5]!.length));
  const index = await bench.disk.readFile(FIRST_INDEX);
  const dies = () => Promise.reject(new Error('the program dies here'));
  await expect(bench.open({ onSuspect: dies })).rejects.toThrow('dies here');
  expect(await bench.disk.readFile(FIRST_INDEX)).toEqual(index);
  const told: string[] = [];
  const again = await bench.open({ onSuspect: (why) => Promise.resolve(void told.push(why)) });
  expect(told).toEqual([again.suspect]);
});

it('is suspect when its first segment is gone without having been deleted', async () => {
  const bench = new LogBench({ segmentBytesMax: 3000 });
  const log = await bench.open();
  await bench.fill(log, 9, { valueBytes: 1000 });
  await log.close({ clean: true });
  await bench.disk.unlink(FIRST_LOG);
  const again = await bench.open({ cleanShutdown: true, knownSynced: 9n });
  expect(again.suspect).toContain('only what lies below 0 was deleted');
});

it('is closed without a clean mark on a disk that is full, not with an error', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 3);
  bench.disk.failNext('datasync', 'ENOSPC');
  expect(await log.close({ clean: true })).toBe(false);
  expect((await readAll(await bench.open())).equals(Buffer.concat(batches))).toBe(true);
});
