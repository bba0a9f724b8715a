/**
 * One broker with as many partitions as a cluster may have: memory, and the time from the spawn of its process until every
 * partition is led and answers, after a clean stop and after kill -9. The other services keep running.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PartitaError } from '@partita/domain';
import { BrokerServiceService } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { ageSecondsOf, memoryOf, openFileCountOf, workSecondsOf } from './process-figures.ts';
import { isAlive } from './processes.ts';
import { LONG } from './root.ts';
import { stallProbe, stallsOf } from './stalls.ts';
import { until } from './until.ts';

const MIB = 1024 * 1024;
const TOPIC_COUNT = LONG ? 10 : 2;
const PARTITIONS_PER_TOPIC = LONG ? 1000 : 500;
const PARTITION_COUNT = TOPIC_COUNT * PARTITIONS_PER_TOPIC;
/** Partitions asked in one call. */
const PART_COUNT = 100;
/** Partitions of each topic that hold records, 1 MB each. */
const FILLED_PER_TOPIC = 10;
const VALUE = 'v'.repeat(1000);
const BATCH_COUNT = 10;
const RECORDS_PER_BATCH = 100;
/** What is claimed of the long form; the short one runs beside other suites. */
const CLEAN_START_SECONDS_MAX = 20;
const KILLED_START_SECONDS_MAX = 60;
const STOP_SECONDS_MAX = 20;
const MEMORY_BYTES_MAX = 1024 * MIB;
/** The broker keeps 1000 idle files open; the rest is for connections and for what is in use. */
const OPEN_FILE_COUNT_MAX = 1200;
/** Work of the broker in one turn of its event loop while others can reach it. */
const STALL_MS_MAX = 200;

const topics = Array.from({ length: TOPIC_COUNT }, (_, number) => `many-${number}`);
const PARTS = topics.flatMap((topic) =>
  Array.from({ length: PARTITIONS_PER_TOPIC / PART_COUNT }, (_, part) =>
    Array.from({ length: PART_COUNT }, (__, index) => {
      const partition = part * PART_COUNT + index;
      return { key: `${topic}/${partition}`, topic, partition };
    }),
  ),
);
const stallFolder = mkdtempSync(join(tmpdir(), 'partita-stalls-'));
let cluster: Cluster;
let api: Api;
let emptyBrokerBytes = 0;
beforeAll(async () => {
  cluster = await startCluster({ brokers: 1, env: stallProbe(stallFolder), restartWaitMax: '1s' });
  emptyBrokerBytes = memoryOf(brokerPid()).residentBytes;
  api = new Api(cluster);
});
afterAll(async () => {
  api.close();
  await cluster.dispose();
  rmSync(stallFolder, { recursive: true, force: true });
});

function brokerPid(): number {
  return cluster.file.brokers[0]?.pid ?? 0;
}

/** Ends of all partitions by `<topic>/<number>`, as soon as each is led and has answered. */
async function untilAllAnswer(secondsMax: number): Promise<Map<string, bigint>> {
  const ends = new Map<string, bigint>();
  const client = api.pool.client(cluster.file.brokers[0]?.address ?? '');
  await until(`${PARTITION_COUNT} partitions to answer`, secondsMax, async () => {
    // Parts, and no further than the first that does not answer: thousands of refusals would be work for the broker.
    for (const part of PARTS) {
      const asked = part.filter(({ key }) => !ends.has(key));
      if (asked.length === 0) continue;
      const entry = { topicId: '', position: undefined, withLag: false };
      const entries = asked.map(({ topic, partition }) => ({ ...entry, topic, partition }));
      const { results } = await callUnary(client, BrokerServiceService.listOffsets, { entries });
      results.forEach(({ error, dataEndOffset }, index) => {
        if (error === undefined) ends.set(asked[index]?.key ?? '', dataEndOffset);
      });
      if (results.some(({ error }) => error !== undefined)) return false;
    }
    return true;
  });
  expect(ends.size).toBe(PARTITION_COUNT);
  return ends;
}

interface Stop {
  readonly seconds: number;
  /** Most descriptors that were open meanwhile. */
  readonly openFileCountMax: number;
  /** It has noted that everything is in order. */
  readonly isClean: boolean;
}

/** Ends the broker; the launcher starts it again. */
async function endBroker(signal: 'SIGTERM' | 'SIGKILL'): Promise<Stop> {
  const pid = brokerPid();
  const marker = join(cluster.file.brokers[0]?.dataDir ?? '', 'clean-shutdown');
  const startedMs = performance.now();
  process.kill(pid, signal);
  let openFileCountMax = 0;
  await until('the broker to be gone', 40, () => {
    if (!isAlive(pid)) return true;
    openFileCountMax = Math.max(openFileCountMax, openFileCountOf(pid));
    return false;
  });
  const seconds = (performance.now() - startedMs) / 1000;
  // The launcher waits for a second before it starts another.
  const isClean = existsSync(marker);
  await until('the broker to be started again', 90, () => brokerPid() !== pid && isAlive(brokerPid()));
  return { seconds, openFileCountMax, isClean };
}

/** Seconds from the spawn of the broker's process until every partition has answered; what they held is there. */
async function startSeconds(how: string, secondsMax: number): Promise<number> {
  const readySeconds = ageSecondsOf(brokerPid());
  const ends = await untilAllAnswer(2 * secondsMax);
  const seconds = ageSecondsOf(brokerPid());
  figure('partitions', `start after ${how}: listening, seconds`, readySeconds);
  figure('partitions', `start after ${how}: every partition answers, seconds`, seconds);
  figure('partitions', `start after ${how}: seconds of a processor`, workSecondsOf(brokerPid()));
  report(`after ${how}`, readySeconds);
  await expectRecords(ends);
  return seconds;
}

/** `fromSeconds`: age of the broker from which on its stalls count. */
function report(when: string, fromSeconds: number): void {
  const { residentBytes, residentBytesMax } = memoryOf(brokerPid());
  figure('partitions', `memory ${when}, MiB`, residentBytes / MIB);
  figure('partitions', `most memory ${when}, MiB`, residentBytesMax / MIB);
  const openFileCount = openFileCountOf(brokerPid());
  figure('partitions', `open descriptors ${when}`, openFileCount);
  const stalls = stallsOf(stallFolder, brokerPid(), fromSeconds);
  figure('partitions', `longest stall of the event loop ${when}, ms`, stalls.longestMs);
  figure('partitions', `most work in a stall ${when}, ms of a processor`, stalls.longestBusyMs);
  expect(residentBytesMax).toBeLessThan(MEMORY_BYTES_MAX);
  expect(openFileCount).toBeLessThan(OPEN_FILE_COUNT_MAX);
  expect(stalls.longestBusyMs).toBeLessThan(STALL_MS_MAX);
}

async function expectRecords(ends: ReadonlyMap<string, bigint>): Promise<void> {
  const filled = topics.flatMap((topic) =>
    Array.from({ length: FILLED_PER_TOPIC }, (_, partition) => `${topic}/${partition}`),
  );
  // Only epoch starts are in the others.
  expect(
    [...ends]
      .filter(([, end]) => end > 0n)
      .map(([key]) => key)
      .toSorted(),
  ).toEqual(filled.toSorted());
  for (const key of [filled.at(0) ?? '', filled.at(-1) ?? '']) {
    const [topic = '', partition = ''] = key.split('/');
    expect(await api.readPartition(topic, Number(partition))).toHaveLength(BATCH_COUNT * RECORDS_PER_BATCH);
  }
}

async function fill(topic: string, partition: number): Promise<void> {
  const records = Array.from({ length: RECORDS_PER_BATCH }, () => ({ value: VALUE }));
  for (let batch = 0; batch < BATCH_COUNT; batch += 1) {
    const { results } = await api.produce(topic, records, { partition });
    expect(results.map(({ outcome }) => outcome?.$case)).toEqual(['ack']);
  }
}

/** CreateTopic gives up waiting after some time and goes on behind it. */
async function createTopic(topic: string): Promise<void> {
  try {
    await api.createTopic(topic, PARTITIONS_PER_TOPIC);
  } catch (error) {
    if (!(error instanceof PartitaError && error.reason === 'TIMED_OUT')) throw error;
    await until('the topic to be there', 60, async () => (await api.getTopic(topic)).topicId !== '');
  }
}

describe(`a broker with ${PARTITION_COUNT} partitions`, () => {
  it('makes them, and takes records', { timeout: 300_000 }, async () => {
    const [startedMs, startedSeconds] = [performance.now(), ageSecondsOf(brokerPid())];
    const workedSeconds = workSecondsOf(brokerPid());
    for (const topic of topics) await createTopic(topic);
    figure('partitions', `creation of ${PARTITION_COUNT} partitions, seconds`, (performance.now() - startedMs) / 1000);
    figure('partitions', 'creation: seconds of a processor of the broker', workSecondsOf(brokerPid()) - workedSeconds);
    for (const topic of topics) {
      for (let partition = 0; partition < FILLED_PER_TOPIC; partition += 1) await fill(topic, partition);
    }
    await expectRecords(await untilAllAnswer(60));
    report('when they were made', startedSeconds);
  });

  it('answers for all of them soon after a clean stop', { timeout: 240_000 }, async () => {
    const stop = await endBroker('SIGTERM');
    figure('partitions', 'clean stop, seconds', stop.seconds);
    figure('partitions', 'most open descriptors in a clean stop', stop.openFileCountMax);
    expect(await startSeconds('a clean stop', CLEAN_START_SECONDS_MAX)).toBeLessThan(CLEAN_START_SECONDS_MAX);
    expect(stop.isClean).toBe(true);
    expect(stop.seconds).toBeLessThan(STOP_SECONDS_MAX);
    expect(stop.openFileCountMax).toBeLessThan(OPEN_FILE_COUNT_MAX);
    const bytes = memoryOf(brokerPid()).residentBytes - emptyBrokerBytes;
    figure('partitions', 'memory for each partition, KiB', bytes / PARTITION_COUNT / 1024);
  });

  it('answers for all of them after kill -9', { timeout: 240_000 }, async () => {
    expect((await endBroker('SIGKILL')).isClean).toBe(false);
    expect(await startSeconds('kill -9', KILLED_START_SECONDS_MAX)).toBeLessThan(KILLED_START_SECONDS_MAX);
  });
});
