import { fork, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PartitaError } from '@partita/domain';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createNodeDisk } from '../node-disk.ts';
import { segmentPath } from '../segment-files.ts';
import { dataBatch, planOf, readSegments, recordsOf, writeSegment } from '../testing/compaction-fixture.ts';
import { ManualTime } from '../testing/log-fixture.ts';
import { CompactionProcess } from './compaction-process.ts';
import type { CompactionPlan } from './compaction-plan.ts';
import { NEVER_COMPACTED } from './compaction-state.ts';
import { swapIn } from './compaction-swap.ts';

const disk = createNodeDisk();
const time = new ManualTime();
let directory = '';
let compaction: CompactionProcess;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'partita-compaction-'));
  compaction = new CompactionProcess(time);
});

afterEach(async () => {
  await compaction.close();
  await rm(directory, { recursive: true });
});

/** Two segments in which each of ten keys has ten records, and a plan over them. */
async function someSegments(changes: Partial<CompactionPlan> = {}): Promise<CompactionPlan> {
  const batch = (index: number): Buffer => {
    const base = BigInt(index * 10);
    const records = Array.from({ length: 10 }, (_, key) => ({ key: `key ${key}`, value: `value ${index}` }));
    return dataBatch(base, records, 2);
  };
  const batches = Array.from({ length: 10 }, (_, index) => batch(index));
  return planOf(
    directory,
    [
      await writeSegment(disk, directory, 0n, batches.slice(0, 5)),
      await writeSegment(disk, directory, 50n, batches.slice(5)),
    ],
    changes,
  );
}

async function compactedNames(): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith('.compacted'));
}

it('compacts files in a process that is started by the first job and used again', async () => {
  const plan = await someSegments();
  expect(compaction.isStarted).toBe(false);
  const [first, second] = await Promise.all([compaction.run(plan), compaction.run({ ...plan, segmentBytesMax: 1 })]);
  expect(first).toMatchObject({ cleanedTo: 100n, recordsBefore: 100, recordsAfter: 10, removedTombstones: 0 });
  expect(first.groups).toMatchObject([{ baseOffset: 0n, endOffset: 100n, sources: [0n, 50n] }]);
  expect(second.groups).toMatchObject([{ sources: [0n] }, { sources: [50n] }]);
  await swapIn(disk, directory, { ...NEVER_COMPACTED, pending: second.groups.map(({ sources }) => sources) });
  const segments = await readSegments(disk, directory);
  expect(segments.map(({ batches }) => recordsOf(batches).length)).toEqual([0, 10]);
});

it.skipIf(process.platform !== 'linux')('runs at the lowest priority', async () => {
  // So slow that the job is still there when we look: the pace lets one window through at once.
  const plan = await someSegments({ bytesPerSecondMax: 10 });
  const job = compaction.run(plan);
  const settled = expect(job).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
  const nicesOfChildren = async (): Promise<number[]> => {
    const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
    const stats = children
      .split(' ')
      .filter((pid) => pid !== '')
      .map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
    return (await Promise.all(stats)).map((stat) => Number(stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[16]));
  };
  let found = false;
  for (let tries = 0; tries < 200 && !found; tries += 1) {
    found = (await nicesOfChildren()).includes(19);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(found).toBe(true);
  await compaction.close();
  await settled;
});

it('gives an error of the pass its reason and metadata, and goes on', async () => {
  const plan = await someSegments();
  const path = segmentPath(directory, 50n, 'log');
  const intact = await readFile(path);
  const damaged = Buffer.from(intact);
  damaged[400]! ^= 1;
  await writeFile(path, damaged);
  const error = await compaction.run(plan).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(PartitaError);
  expect(error).toMatchObject({ reason: 'CORRUPT_BATCH', metadata: { file: path, partition: '3' } });
  expect(await compactedNames()).toEqual([]);
  await rm(path);
  await expect(compaction.run(plan)).rejects.toMatchObject({ reason: 'STORAGE_FAILED', metadata: { code: 'ENOENT' } });
  await writeFile(path, intact);
  expect((await compaction.run(plan)).recordsAfter).toBe(10);
});

it('ends the process when it was idle for a minute, and starts another for the next job', async () => {
  const plan = await someSegments();
  await compaction.run(plan);
  time.advance(59_000);
  expect(compaction.isStarted).toBe(true);
  await compaction.run(plan);
  time.advance(59_000);
  expect(compaction.isStarted).toBe(true);
  time.advance(1000);
  expect(compaction.isStarted).toBe(false);
  expect((await compaction.run(plan)).recordsAfter).toBe(10);
});

it('cancels the job that runs and refuses those that wait when it is closed, and leaves no files', async () => {
  const plan = await someSegments({ bytesPerSecondMax: 1000 });
  const jobs = [compaction.run(plan), compaction.run(plan)];
  const settled = Promise.all(jobs.map((job) => expect(job).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' })));
  // Until it has made a file: reading both segments comes first.
  while ((await compactedNames()).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await compaction.close();
  await settled;
  expect(await compactedNames()).toEqual([]);
  expect(compaction.isStarted).toBe(false);
  await expect(compaction.run(plan)).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
});

it.each([
  ['throws', 'throw new Error("out of order")', 'code 1'],
  ['ends', 'process.exit(0)', 'code 0'],
  ['is killed', 'process.kill(process.pid, "SIGKILL")', 'SIGKILL'],
])('fails the job over which the process %s, and runs the next one in another', async (_, code, why) => {
  const plan = await someSegments();
  let starts = 0;
  const worker = fileURLToPath(new URL('./compaction-worker.ts', import.meta.url));
  const mortal = new CompactionProcess(time, () => {
    starts += 1;
    if (starts > 1) return fork(worker, { execArgv: [], serialization: 'advanced' });
    const stdio = ['ignore', 'ignore', 'ignore', 'ipc'] as const;
    const program = `process.on('message', () => { ${code} })`;
    return spawn(process.execPath, ['-e', program], { stdio: [...stdio], serialization: 'advanced' });
  });
  const [lost, next] = await Promise.allSettled([mortal.run(plan), mortal.run(plan)]);
  expect(lost).toMatchObject({ status: 'rejected', reason: { reason: 'INTERNAL' } });
  expect(String((lost as PromiseRejectedResult).reason)).toContain(why);
  expect(next).toMatchObject({ status: 'fulfilled', value: { recordsAfter: 10 } });
  expect(starts).toBe(2);
  await mortal.close();
});
