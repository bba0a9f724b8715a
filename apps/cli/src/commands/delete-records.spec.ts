import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runCommand } from '../program.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';
import { SmallCluster } from '../testing/small-cluster.ts';

let cluster: SmallCluster;

beforeEach(async () => {
  // Records without a key go to the first partition.
  vi.spyOn(Math, 'random').mockReturnValue(0);
  cluster = new SmallCluster();
  await cluster.start();
  await run(['produce', 't', '--format', 'lines', '--partition', '0'], 'a\nb\nc\n');
  await run(['produce', 't', '--format', 'lines', '--partition', '1'], 'd\n');
});

afterEach(() => cluster.close());

async function run(args: readonly string[], input = '') {
  const terminal = recordedTerminal(input, { PARTITA_SERVER: cluster.address });
  const code = await runCommand(args, terminal);
  return { code, lines: terminal.lines, notes: terminal.notes.join('\n') };
}

function deleteRecords(...options: string[]) {
  return run(['topic', 'delete-records', 't', ...options]);
}

test('deletes below an offset, and says what', async () => {
  expect(await deleteRecords('--partition', '0', '--before', '2', '--yes')).toMatchObject({
    code: 0,
    lines: ['deleted offsets 0 to 1 of t/0; its log begins at offset 2'],
  });
  expect(cluster.logStarts).toEqual([2n, 0n]);
  expect((await deleteRecords('--partition', '0', '--before', '1', '--yes')).lines).toEqual([
    'nothing to delete in t/0: its log begins at offset 2',
  ]);
});

test('deletes all records of all partitions', async () => {
  const { code, lines } = await deleteRecords('--all-partitions', '--before', 'latest', '--yes', '--json');
  expect(code).toBe(0);
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { topic: 't', partition: 0, beforeOffset: 3, logStartBefore: 0, logStart: 3, highWatermark: 3 },
    { topic: 't', partition: 1, beforeOffset: 1, logStartBefore: 0, logStart: 1, highWatermark: 1 },
  ]);
  expect(cluster.logStarts).toEqual([3n, 1n]);
});

test('takes a time, or how long ago, where the leader knows the offset', async () => {
  for (const before of ['-15m', '2001-02-03T04:05:06Z']) {
    const { lines } = await deleteRecords('--all-partitions', '--before', before, '--dry-run');
    expect(lines).toEqual([
      'would delete offsets 0 to 2 of t/0; the high watermark is 3',
      'would delete offsets 0 to 0 of t/1; the high watermark is 1',
    ]);
  }
});

test('only says what it would do with --dry-run, and refuses what the leader would', async () => {
  expect((await deleteRecords('--partition', '0', '--before', 'latest', '--dry-run', '--yes')).lines).toEqual([
    'would delete offsets 0 to 2 of t/0; the high watermark is 3',
  ]);
  const beyond = await deleteRecords('--partition', '0', '--before', '4', '--dry-run');
  expect([beyond.code, beyond.notes]).toEqual([1, expect.stringContaining('OFFSET_OUT_OF_RANGE')]);
  expect(cluster.logStarts).toEqual([0n, 0n]);
  expect(await deleteRecords('--partition', '0', '--before', '4', '--yes')).toMatchObject({ code: 1 });
});

test.each([
  ['without --yes', ['--partition', '0', '--before', '1']],
  ['without partitions', ['--before', '1', '--yes']],
  ['with one partition and all', ['--partition', '0', '--all-partitions', '--before', 'latest', '--yes']],
  ['with an offset for all', ['--all-partitions', '--before', '1', '--yes']],
  ['before earliest', ['--partition', '0', '--before', 'earliest', '--yes']],
  ['without a position', ['--partition', '0', '--yes']],
])('is a usage error %s', async (_what, options) => {
  expect(await deleteRecords(...options)).toMatchObject({ code: 2, lines: [] });
  expect(cluster.logStarts).toEqual([0n, 0n]);
});

test('of a partition or topic that is not there is exit code 4', async () => {
  expect(await deleteRecords('--partition', '5', '--before', '1', '--yes')).toMatchObject({ code: 4 });
  const args = ['topic', 'delete-records', 'nope', '--all-partitions', '--before', 'latest', '--yes'];
  expect(await run(args)).toMatchObject({ code: 4 });
});
