import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCommand } from '../program.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';
import { CLUSTER_ID, DELETED_ID, StoredDirectory, TOPIC_ID } from '../testing/stored-directory.ts';

let stored: StoredDirectory;

beforeEach(async () => {
  stored = new StoredDirectory();
  await stored.make({
    batches: [
      { records: [['BOS', 'delayed']] },
      {
        records: [
          ['SFO', null],
          [undefined, 'on time '.repeat(40)],
        ],
        zstd: true,
      },
      { records: [['BOS', 'gone']], epoch: 2 },
    ],
  });
});

afterEach(() => stored.remove());

async function dump(dir: string, ...options: string[]) {
  const terminal = recordedTerminal();
  const code = await runCommand(['log', 'dump', dir, ...options], terminal);
  return { code, lines: terminal.lines, notes: terminal.notes.join('\n') };
}

async function dumpJson(dir: string, ...options: string[]) {
  const { code, lines } = await dump(dir, '--json', ...options);
  return { code, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const SEGMENT = `${'0'.repeat(20)}.log`;

test('prints every file of a broker', async () => {
  const { code, lines } = await dumpJson(stored.dir);
  expect(code).toBe(0);
  expect(lines.filter(({ kind }) => kind !== 'batch')).toEqual([
    { kind: 'storage', clusterId: CLUSTER_ID, brokerId: 1, dirUuid: CLUSTER_ID, incarnation: 1 },
    { kind: 'clean-shutdown', incarnation: 1, bootId: 'boot' },
    { kind: 'clean-shutdown', partition: `${TOPIC_ID}/0`, logEnd: 5 },
    { kind: 'checkpoint', partition: `${TOPIC_ID}/0`, logStart: 0, highWatermark: 5, syncedEnd: 5 },
    { kind: 'journal', file: expect.any(Number), generation: 2, entryCount: 2 },
    {
      kind: 'journal',
      key: `replica/${TOPIC_ID}/0`,
      value: expect.objectContaining({ promisedEpoch: 1, ledEpoch: 1, grantNonce: 'abcd' }),
    },
    { kind: 'journal', key: `start/${TOPIC_ID}/0`, value: { logStart: 1 } },
    { kind: 'journal', key: `tombstone/${DELETED_ID}`, value: expect.objectContaining({ deleteId: CLUSTER_ID }) },
    { kind: 'journal', key: 'boot-id', value: { bootId: 'boot' } },
    expect.objectContaining({ kind: 'topic', topic: 'flights', topicId: TOPIC_ID }),
    expect.objectContaining({
      kind: 'segment',
      path: `${TOPIC_ID}/0/${SEGMENT}`,
      baseOffset: 0,
      fileBytes: statSync(stored.firstLog).size,
    }),
  ]);
});

test('prints batches with their place, control records with their content', async () => {
  const { lines } = await dumpJson(stored.firstLog);
  const batches = lines.filter(({ kind }) => kind === 'batch');
  expect(batches).toMatchObject([
    { position: 111, baseOffset: 0, type: 'epoch-start', content: { leaderEpoch: 1, leaderId: 1 } },
    { baseOffset: 1, lastOffset: 1, leaderEpoch: 1, records: 1, codec: 'none', type: 'data' },
    {
      baseOffset: 2,
      lastOffset: 3,
      records: 2,
      codec: 'zstd',
      tombstones: true,
      uncompressedBytes: expect.any(Number),
    },
    { baseOffset: 4, leaderEpoch: 2, appendTime: '2023-11-14T22:13:20.004Z' },
  ]);
  const { lines: text } = await dump(stored.firstLog);
  expect(text[0]).toMatch(/^topic flights/);
  expect(text[2]).toBe(
    '  byte 111  offsets 0-0  epoch 1  2023-11-14T22:13:20.000Z  1 records  none  epoch-start  132 bytes' +
      '  {"leaderEpoch":1,"leaderId":1,"unclean":false}',
  );
});

test('prints records as consume does', async () => {
  const { code, lines } = await dump(stored.dir, '--records');
  expect(code).toBe(0);
  expect(lines).toEqual([
    '0/1\tBOS\tdelayed',
    '0/2\tSFO\t(deleted)',
    `0/3\t-\t${'on time '.repeat(40)}`,
    '0/4\tBOS\tgone',
  ]);
  const { lines: objects } = await dumpJson(stored.dir, '--records', '--max', '1', '--value-encoding', 'hex');
  expect(objects).toEqual([
    {
      topic: 'flights',
      partition: 0,
      offset: 1,
      key: 'BOS',
      value: Buffer.from('delayed').toString('hex'),
      timestamp: '2023-11-14T22:13:20.001Z',
      appendTime: '2023-11-14T22:13:20.001Z',
      leaderEpoch: 1,
    },
  ]);
});

test('keeps to a range of offsets and a number', async () => {
  const offsets = async (...options: string[]) =>
    (await dump(stored.partition, '--records', ...options)).lines.map((line) => line.split('\t')[0]);
  expect(await offsets('--from', '3')).toEqual(['0/3', '0/4']);
  expect(await offsets('--from', '2', '--to', '3')).toEqual(['0/2']);
  expect(await offsets('--from', '2', '--max', '2')).toEqual(['0/2', '0/3']);
  const batches = async (...options: string[]) =>
    (await dumpJson(stored.firstLog, ...options)).lines
      .filter(({ kind }) => kind === 'batch')
      .map((b) => b['baseOffset']);
  expect(await batches('--from', '3', '--to', '4')).toEqual([2]);
  expect(await batches('--max', '2')).toEqual([0, 1]);
  expect((await dump(stored.dir, '--from', 'latest')).code).toBe(2);
});

test('skips segments below the range', async () => {
  const long = new StoredDirectory();
  const records = [['k', 'v'.repeat(900)]] as const;
  await long.make({ segmentBytesMax: 64 * 1024, batches: Array.from({ length: 150 }, () => ({ records })) });
  const { lines } = await dumpJson(long.partition, '--from', '149');
  long.remove();
  expect(lines.map(({ kind, baseOffset }) => [kind, baseOffset])).toEqual([
    ['topic', undefined],
    ['segment', expect.any(Number)],
    ['batch', 149],
    ['batch', 150],
  ]);
});

test('shows what is damaged and goes on behind it', async () => {
  const third = readFileSync(stored.firstLog).length - 135;
  stored.tamper(stored.firstLog, (bytes) => {
    bytes[111 + 132 + 20] = 0xee;
    bytes[third - 30] = (bytes[third - 30] ?? 0) ^ 1;
    return bytes;
  });
  const { code, lines } = await dumpJson(stored.firstLog);
  expect(code).toBe(0);
  expect(lines.slice(2)).toMatchObject([
    { kind: 'batch', baseOffset: 0 },
    { kind: 'damage', path: SEGMENT, position: 243, fault: 'the header does not match its checksum' },
    { kind: 'batch', baseOffset: 2, fault: 'the records do not match their checksum' },
    { kind: 'batch', baseOffset: 4 },
  ]);
  const records = await dump(stored.dir, '--records');
  expect(records.lines).toEqual(['0/4\tBOS\tgone']);
  expect(records.notes).toContain('2 places are damaged');
});

test('what is not there is exit code 4', async () => {
  expect((await dump(join(stored.dir, 'none'))).code).toBe(4);
});
