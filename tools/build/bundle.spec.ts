import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
let project = '';

/** Compacts two records of one key in the thread of libs/log, and prints what the thread answered. */
const MAIN = `
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { BatchBuilder, CODEC_ZSTD, headerSeed, stampBatch } from '@partita/batch';
import { CompactionProcess, encodeSegmentHeader } from '@partita/log';

const uuid = '7b0e6d0e-3f7c-4c53-9c5e-0a4f4a1c2b3d';
const identity: { clusterId: string; topicId: string; partition: number } = { clusterId: uuid, topicId: uuid, partition: 3 };
const directory = await mkdtemp(process.argv[2] + '/log-');
const builder = new BatchBuilder();
for (const text of ['old', 'new']) builder.tryAdd({ key: Buffer.from('key'), value: Buffer.from(text), timestampMs: 1n });
const batch = builder.build({ codec: CODEC_ZSTD });
stampBatch(batch, { baseOffset: 0n, leaderEpoch: 1, appendTimeMs: 1n }, headerSeed(uuid, 3));
const content = Buffer.concat([encodeSegmentHeader({ ...identity, baseOffset: 0n, createTimeMs: 1n, isSparse: false }), batch]);
await writeFile(directory + '/00000000000000000000.log', content);
const compaction = new CompactionProcess({ after: () => ({ cancel: () => {} }) });
const segments = [{ baseOffset: 0n, endOffset: 2n, size: content.length }];
const bounds = { cleanedTo: 0n, tombstonesEndBelow: 0n, segmentBytesMax: 1e6, mapBytesMax: 1e6, bytesPerSecondMax: undefined };
const { recordsBefore, recordsAfter } = await compaction.run({ directory, identity, segments, ...bounds });
await compaction.close();
await rm(directory, { recursive: true });
console.log(recordsBefore, recordsAfter);
`;

beforeAll(async () => {
  // Below node_modules, where Node takes no TypeScript: as in an image, all that runs must have been bundled.
  project = await mkdtemp(join(root, 'node_modules/.bundle-spec-'));
  await mkdir(join(project, 'src'));
  await writeFile(join(project, 'src/main.ts'), MAIN);
});

afterAll(() => rm(project, { recursive: true }));

it('bundles what a service runs beside itself, each to run beside the main bundle', async () => {
  await run(process.execPath, [join(import.meta.dirname, 'bundle.ts'), project], { cwd: root });
  const names = await readdir(join(project, 'dist'));
  expect(names).toEqual(expect.arrayContaining(['main.js', 'compaction-worker.js', 'compaction-worker.js.map']));
  expect(names.filter((name) => name.endsWith('.ts'))).toEqual([]);
  const { stdout } = await run(process.execPath, [join(project, 'dist/main.js'), project]);
  expect(stdout).toBe('2 1\n');
});
