/**
 * One flipped bit in each file of a data directory, after a clean stop and after kill -9. What can be made again is made
 * again and everything acknowledged is served; damage to records takes that partition alone out of service, says so and
 * changes nothing; damage to what a broker promised keeps it from starting.
 */
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchesIn } from '@partita/batch';
import { CHECKPOINT_MS } from '@partita/domain';
import { PartitionState } from '@partita/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Api, valueOf } from './api.ts';
import { figure } from './figures.ts';
import { Cluster, lastLines, launch, loggedErrors, startCluster } from './harness.ts';
import type { Launcher } from './harness.ts';
import { killNow, processesOf, untilNoneLeft } from './processes.ts';
import { LONG } from './root.ts';
import { Hopeless, until } from './until.ts';

const SEGMENT_BYTES = 64 * 1024;
const VALUE_CHARS = 4000;
const RECORDS_PER_BATCH = 4;
/** Two sealed segments and two batches in the last one. */
const BATCH_COUNT = 10;
const START_SECONDS_MAX = 20;
/** A partition without a leader is waited for as long as the deadline allows. */
const READ_MS_MAX = 1000;
const SERVED_MS_MAX = 10_000;
const JOURNAL_HEADER_BYTES = 64;

type Stop = 'clean' | 'killed';
/** Where in the file the byte is: its first one, the one half way, or the one behind a text. */
type Place = 'start' | 'middle' | { readonly behind: string };

/**
 * What must come of a flipped bit: made again and served; the partition taken out of service; or only what is damaged
 * refused, since nobody but a reader meets it. Of the last two an error is logged that names the file.
 */
type Outcome = 'served' | 'withheld' | 'refused to readers';

/** A file of a partition, and what must come of a flipped bit in it, after a clean stop and after a kill. */
interface PartitionRow {
  readonly segment: 'sealed' | 'last';
  readonly extension: 'log' | 'idx' | 'snapshot';
  readonly place: Place;
  readonly outcome: Readonly<Record<Stop, Outcome>>;
}

const EITHER: readonly Stop[] = ['clean', 'killed'];
const SERVED = { clean: 'served', killed: 'served' } as const;
const TO_READERS = { clean: 'refused to readers', killed: 'refused to readers' } as const;
/** One partition of the topic for each, and one more that stays sound. */
const PARTITION_ROWS: readonly PartitionRow[] = [
  { segment: 'sealed', extension: 'log', place: 'middle', outcome: TO_READERS },
  { segment: 'sealed', extension: 'log', place: 'start', outcome: TO_READERS },
  // After a kill the last segment is verified.
  { segment: 'last', extension: 'log', place: 'middle', outcome: { clean: 'refused to readers', killed: 'withheld' } },
  { segment: 'last', extension: 'log', place: 'start', outcome: { clean: 'withheld', killed: 'withheld' } },
  { segment: 'sealed', extension: 'idx', place: 'middle', outcome: SERVED },
  { segment: 'last', extension: 'idx', place: 'middle', outcome: SERVED },
  { segment: 'sealed', extension: 'snapshot', place: 'middle', outcome: SERVED },
  { segment: 'last', extension: 'snapshot', place: 'middle', outcome: SERVED },
];
const SOUND = PARTITION_ROWS.length;

/** A file of the broker as a whole, or of a topic. */
interface BrokerRow {
  readonly file: string;
  readonly place: Place;
  readonly outcome: 'served' | 'refused' | 'topic withheld';
  readonly after: readonly Stop[];
}

const BROKER_ROWS: readonly BrokerRow[] = [
  { file: 'checkpoint', place: 'middle', outcome: 'served', after: EITHER },
  { file: 'clean-shutdown', place: 'start', outcome: 'served', after: ['clean'] },
  { file: 'clean-shutdown', place: { behind: `/${SOUND}":"` }, outcome: 'served', after: ['clean'] },
  { file: 'journal in use', place: 'start', outcome: 'refused', after: ['killed'] },
  { file: 'journal in use', place: 'middle', outcome: 'refused', after: EITHER },
  { file: 'storage.json', place: 'start', outcome: 'refused', after: ['killed'] },
  { file: 'storage.json', place: { behind: '"dir_uuid":"0' }, outcome: 'refused', after: ['killed'] },
  { file: 'topic.config', place: 'start', outcome: 'topic withheld', after: ['killed'] },
  { file: 'topic.config', place: { behind: 'lost-' }, outcome: 'topic withheld', after: ['killed'] },
];

/** What the broker may say of a file that a test has damaged. */
const PROVOKED = [/is damaged/, /CORRUPT_BATCH/, /STORAGE_FAILED/, /topic\.config/];

let home: string;
let launcher: Launcher | undefined;
const copies = new Map<Stop, string>();
/** Acknowledged values by topic and partition, in the order of sending. */
const acked = new Map<string, string[][]>();
const topicIds = new Map<string, string>();

beforeAll(async () => {
  const first = await startCluster({ brokers: 1 });
  home = first.home;
  const api = new Api(first);
  await fill(api, 'damaged', PARTITION_ROWS.length + 1);
  await fill(api, 'lost-config', 1);
  api.close();
  await sleep(2 * CHECKPOINT_MS);
  await first.killEverything();
  keepCopy('killed');
  const second = await startCluster({ brokers: 1, home });
  await second.stop();
  keepCopy('clean');
});
afterAll(() => {
  for (const path of [home, ...copies.values()]) rmSync(path, { recursive: true, force: true });
});

/** kill -9 of whatever a test started. */
async function endAll(): Promise<void> {
  killNow(processesOf(home).map(({ pid }) => pid));
  await untilNoneLeft(home, 10);
  await launcher?.ended;
  launcher = undefined;
}

/** A topic whose partitions have two sealed segments each. */
async function fill(api: Api, name: string, partitionCount: number): Promise<void> {
  const topic = await until('the topic', 20, () =>
    api.createTopic(name, partitionCount, { segmentBytes: BigInt(SEGMENT_BYTES) }),
  );
  topicIds.set(name, topic.topicId);
  const values = Array.from({ length: partitionCount }, (): string[] => []);
  acked.set(name, values);
  await until('a record to be taken', 20, () => api.produce(name, [{ value: 'first' }], { partition: 0 }));
  values[0]?.push('first');
  for (const [partition, sent] of values.entries()) {
    for (let batch = 0; batch < BATCH_COUNT; batch += 1) {
      const records = Array.from({ length: RECORDS_PER_BATCH }, (_, index) => ({
        value: `${partition} ${batch} ${index} ${'-'.repeat(VALUE_CHARS)}`,
      }));
      const { results } = await api.produce(name, records, { partition });
      expect(results.every(({ outcome }) => outcome?.$case === 'ack')).toBe(true);
      sent.push(...records.map(({ value }) => value));
    }
  }
}

function keepCopy(stop: Stop): void {
  const copy = mkdtempSync(join(tmpdir(), 'partita-damage-'));
  cpSync(home, copy, { recursive: true });
  copies.set(stop, copy);
}

/** Puts the home back as it was after the stop, with no log of any service. */
function restore(stop: Stop): void {
  rmSync(home, { recursive: true, force: true });
  cpSync(copies.get(stop) ?? '', home, { recursive: true });
  rmSync(join(home, 'logs'), { recursive: true, force: true });
}

/** Flips the lowest bit of a byte and returns the file's content as it is then. */
function flip(path: string, place: Place): Buffer {
  const bytes = readFileSync(path);
  let at = Math.floor(bytes.length / 2);
  if (place === 'middle' && path.endsWith('.log')) at = endOfBatchAt(bytes, at);
  if (place === 'start') at = 0;
  if (typeof place === 'object') at = bytes.indexOf(place.behind) + place.behind.length;
  const byte = bytes[at];
  if (byte === undefined) throw new Error(`${path} has no byte ${at}`);
  bytes[at] = byte ^ 1;
  writeFileSync(path, bytes);
  return bytes;
}

/** The last byte of the batch at `at`: in its records, while its middle may be in its header, which a start reads. */
function endOfBatchAt(bytes: Buffer, at: number): number {
  const batch = [...batchesIn(bytes)].find(({ position, header }) => position + header.batchBytes > at);
  return batch === undefined ? at : batch.position + batch.header.batchBytes - 1;
}

function segmentFile(partition: number, { segment, extension }: PartitionRow): string {
  const folder = join(home, 'broker-1', topicIds.get('damaged') ?? '', String(partition));
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'));
  expect(logs.length).toBeGreaterThanOrEqual(3);
  // The first segment has no snapshot; the second is sealed too.
  const log = segment === 'last' ? logs.at(-1) : logs.at(1);
  return join(folder, (log ?? '').replace(/log$/, extension));
}

/** The path of a broker's file; for the journal the place is in the entry that holds the whole state. */
function damageBrokerFile({ file, place }: BrokerRow): string {
  const folder = join(home, 'broker-1');
  if (file !== 'journal in use') {
    const path = file === 'topic.config' ? join(folder, topicIds.get('lost-config') ?? '', file) : join(folder, file);
    flip(path, place);
    return path;
  }
  const paths = [0, 1].map((number) => join(folder, `meta.journal.${number}`));
  const [first = 0n, second = 0n] = paths.map((path) => readFileSync(path).readBigUInt64LE(8));
  const path = paths[first > second ? 0 : 1] ?? '';
  const bytes = readFileSync(path);
  const at = place === 'start' ? 0 : JOURNAL_HEADER_BYTES + 40;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
  return path;
}

async function isServed(api: Api, topic: string, partition: number): Promise<void> {
  const records = await api.readPartition(topic, partition, SERVED_MS_MAX);
  expect(records.map(valueOf)).toEqual(acked.get(topic)?.[partition]);
  await until('a record to be taken', 20, () => api.produce(topic, [{ value: 'later' }], { partition }));
}

/** Starts on the home as it is; fails at once when the broker does not start. */
async function start(): Promise<Cluster> {
  const startedMs = performance.now();
  const started = await launch({ brokers: 1, home });
  launcher = started;
  await until('the cluster to be ready', START_SECONDS_MAX, () => {
    if (started.output.includes('broker-1 exited')) throw new Hopeless(lastLines(started));
    return started.output.includes('Ready after');
  });
  return new Cluster(started, (performance.now() - startedMs) / 1000);
}

describe.for(EITHER)('after a %s stop, one flipped bit', (stop) => {
  const damaged = new Map<PartitionRow, { readonly path: string; readonly bytes: Buffer }>();
  let api: Api;
  beforeAll(async () => {
    restore(stop);
    for (const [partition, row] of PARTITION_ROWS.entries()) {
      const path = segmentFile(partition, row);
      damaged.set(row, { path, bytes: flip(path, row.place) });
    }
    api = new Api(await start());
  });
  afterAll(async () => {
    api.close();
    await endAll();
  });

  for (const [partition, row] of PARTITION_ROWS.entries()) {
    const outcome = row.outcome[stop];
    it(`in the ${row.extension} of the ${row.segment} segment, at its ${where(row.place)}: ${outcome}`, async () => {
      if (outcome === 'served') return isServed(api, 'damaged', partition);
      const { path, bytes } = damaged.get(row) ?? { path: '', bytes: Buffer.alloc(0) };
      await isRefusedToReaders(api, partition, path, bytes);
      const { state } = await api.partition('damaged', partition);
      const isOffline = state === PartitionState.PARTITION_STATE_OFFLINE;
      return expect(isOffline).toBe(outcome === 'withheld');
    });
  }

  it('takes no other partition out of service and causes no other error', async () => {
    await isServed(api, 'damaged', SOUND);
    await isServed(api, 'lost-config', 0);
    expect(loggedErrors(home, PROVOKED)).toEqual([]);
    figure('storage', `damage, ${stop} stop: files of partitions with a flipped bit`, PARTITION_ROWS.length);
  });
});

/** Nothing of the damage is answered, an error names the file, and it is left as it is. */
async function isRefusedToReaders(api: Api, partition: number, path: string, bytes: Buffer): Promise<void> {
  // Right after a start a reader may be refused for want of a leader, which says nothing of the damage.
  await until('an error that names the file', 20, async () => {
    const reading = await api.readPartition('damaged', partition, READ_MS_MAX).then(
      () => 'everything was read',
      () => 'refused',
    );
    if (reading !== 'refused') throw new Hopeless(reading);
    return loggedErrors(home).some((line) => line.includes(path));
  });
  // A partition that is led goes on behind it.
  expect(readFileSync(path).subarray(0, bytes.length).equals(bytes), 'the damaged file is as it was').toBe(true);
}

function where(place: Place): string {
  return typeof place === 'object' ? `byte behind ${place.behind}` : place;
}

describe('one flipped bit in a file of the broker', () => {
  afterEach(endAll);
  const all = BROKER_ROWS.flatMap((row) => row.after.map((stop) => ({ row, stop })));
  // One of each file in the gate: each takes a start.
  const cases = LONG ? all : all.filter(({ row }, at) => at === all.findIndex((other) => other.row.file === row.file));
  for (const { row, stop } of cases) {
    it(`${row.file}, at its ${where(row.place)}, after a ${stop} stop: ${row.outcome}`, async () => {
      restore(stop);
      const path = damageBrokerFile(row);
      if (row.outcome === 'refused') await isRefused(path);
      else await isStarted(row);
    });
  }
  it('is tried in each of them', () => figure('storage', 'damage: files of brokers with a flipped bit', cases.length));
});

/** The broker ends with the exit code for a bad data directory and says which file it is. */
async function isRefused(path: string): Promise<void> {
  const started = await launch({ brokers: 1, home });
  launcher = started;
  await until('the end of the broker', START_SECONDS_MAX, () => /broker-1 exited|Ready after/.test(started.output));
  expect(started.output, lastLines(started)).toContain('broker-1 exited with code 3');
  // The launcher writes its logs behind what it says.
  await until('a fatal error that names the file', 5, () =>
    loggedErrors(home).some((line) => line.includes(path) && line.includes('"level":"fatal"')),
  );
}

/** The broker serves; without the topic whose config is damaged, which it reports. */
async function isStarted({ outcome }: BrokerRow): Promise<void> {
  const api = new Api(await start());
  try {
    for (let partition = 0; partition <= SOUND; partition += 1) await isServed(api, 'damaged', partition);
    if (outcome === 'served') {
      await isServed(api, 'lost-config', 0);
      expect(loggedErrors(home)).toEqual([]);
      return;
    }
    await expect(api.readPartition('lost-config', 0, READ_MS_MAX)).rejects.toThrow();
    const topicId = topicIds.get('lost-config') ?? '';
    expect(loggedErrors(home).filter((line) => line.includes(topicId))).not.toEqual([]);
    expect(loggedErrors(home, PROVOKED)).toEqual([]);
  } finally {
    api.close();
  }
}
