/** More than a cluster takes, a broker that stands still, a gateway that ends meanwhile: what clients are told is true. */
import { getPriority, setPriority } from 'node:os';
import { connect } from '@partita/client';
import { OwnGateway } from '@partita/tool-dev/own-gateway.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { memoryOf } from './process-figures.ts';
import { idOf, ProduceLoad } from './produce-load.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

const AREA = 'pressure';
const MIB = 1024 * 1024;
const PARTITION_COUNT = 6;
const CLIENT_COUNT = 16;
/** Few enough that capacity is met at the brokers, many enough that it is met. */
const CALLER_COUNT = 48;
const OVERLOAD_SECONDS = LONG ? 60 : 3;
const CAPACITY_SECONDS = LONG ? 5 : 1;
const STOPPED_SECONDS = LONG ? 20 : 2;
/** Of the capacity; twice is meant. */
const OFFERED_SHARE_MIN = 1.7;
/** Of the generator while it offers an open loop. */
const LOAD_NICENESS = -10;
const RECOVERY_MS_MAX = 10_000;
const RESIDENT_BYTES_MAX = 512 * MIB;
/** So small that a load beyond what the brokers take is shed for certain. */
const LIMITS = [
  ...['--bytes-in-flight-max', '1MiB', '--client-bytes-in-flight-max', '256KiB'],
  ...['--connection-bytes-in-flight-max', '256KiB', '--leader-bytes-in-flight-max', '256KiB'],
];

let cluster: Cluster;
let api: Api;
let gateway: OwnGateway;
const loads: ProduceLoad[] = [];
const gateways: OwnGateway[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  api = new Api(cluster);
  gateway = await newGateway();
});
afterAll(async () => {
  for (const load of loads) load.close();
  for (const each of gateways) await each.stop();
  api.close();
  await cluster.dispose();
});

async function newGateway(): Promise<OwnGateway> {
  const started = await OwnGateway.start({ coordinatorPeers: cluster.file.coordinatorPeers, args: LIMITS });
  gateways.push(started);
  return started;
}

/**
 * What is overloaded must be the cluster, not who offers the load: on few cores that takes a better priority, which root
 * has. Not inherited by what runs already.
 */
async function atOwnPace<T>(work: () => Promise<T>): Promise<T> {
  const before = getPriority();
  try {
    setPriority(LOAD_NICENESS);
  } catch (error) {
    console.warn(`the load has no priority over what it loads: ${(error as Error).message}`);
  }
  try {
    return await work();
  } finally {
    setPriority(before);
  }
}

function newLoad(address: string, topic: string, clientCount = CLIENT_COUNT): ProduceLoad {
  const load = new ProduceLoad({ address, topic, partitionCount: PARTITION_COUNT, clientCount });
  loads.push(load);
  return load;
}

/** Ids of all records of the topic; each must be there once. */
async function storedIds(topic: string): Promise<ReadonlySet<number>> {
  const client = await connect({ servers: [cluster.addresses.coordinator], clientId: 'overload-check' });
  const stored = new Set<number>();
  try {
    for await (const record of client.read({ topic })) {
      const id = idOf(record.value);
      expect(stored.has(id), `record ${id} stored twice`).toBe(false);
      stored.add(id);
    }
  } finally {
    await client.close();
  }
  return stored;
}

function expectTruth(load: ProduceLoad, stored: ReadonlySet<number>): void {
  const lost = [...load.acknowledged].filter((id) => !stored.has(id));
  const storedAllTheSame = [...load.refused].filter((id) => stored.has(id));
  expect({ lost, storedAllTheSame }).toEqual({ lost: [], storedAllTheSame: [] });
}

function errorsOf({ reasons }: ProduceLoad): Record<string, string> {
  return Object.fromEntries([...reasons].map(([reason, { count, first }]) => [reason, `${count}: ${first.message}`]));
}

it('sheds twice the load that it takes with definite errors, stays small, and is well again at once', async () => {
  await api.createTopic('flood', PARTITION_COUNT);
  const load = newLoad(gateway.address, 'flood');
  await load.closedLoop(CALLER_COUNT, CAPACITY_SECONDS / 2);
  const capacity = await load.closedLoop(CALLER_COUNT, CAPACITY_SECONDS);
  const takenBefore = load.acknowledged.size;
  let residentBytes = 0;
  const look = setInterval(() => {
    residentBytes = Math.max(residentBytes, memoryOf(gateway.pid).residentBytes);
  }, 100);
  const offered = await atOwnPace(() => load.openLoop(2 * capacity, OVERLOAD_SECONDS));
  clearInterval(look);
  const stoppedMs = performance.now();
  const fresh = newLoad(gateway.address, 'flood-after', 1);
  await api.createTopic('flood-after', PARTITION_COUNT);
  await until('a record to be acknowledged after the load', RECOVERY_MS_MAX / 1000, () => fresh.one());
  const recoveryMs = performance.now() - stoppedMs;

  const shedCount = load.refused.size;
  expect(offered, 'the load that was kept').toBeGreaterThan(OFFERED_SHARE_MIN * capacity);
  expect(errorsOf(load)).not.toHaveProperty('OUTCOME_UNKNOWN');
  for (const reason of load.reasons.keys()) expect(['QUEUE_FULL', 'TIMED_OUT'], reason).toContain(reason);
  expect(shedCount).toBeGreaterThan(0);
  expect(load.advisedCount).toBe(shedCount);
  expect(await gateway.metric('partita_gateway_shed_total')).toBeGreaterThan(0);
  expect(residentBytes).toBeLessThan(RESIDENT_BYTES_MAX);
  expectTruth(load, await storedIds('flood'));
  figure(AREA, 'records/s that a closed loop is given', capacity);
  figure(AREA, 'records/s offered by the open loop', offered);
  figure(AREA, 'records/s acknowledged meanwhile', (load.acknowledged.size - takenBefore) / OVERLOAD_SECONDS);
  figure(AREA, 'calls shed, all with the time to wait', shedCount);
  figure(AREA, 'calls in doubt', load.inDoubt.size);
  figure(AREA, 'acknowledged records that are missing', 0);
  figure(AREA, 'MiB resident in the gateway at most', residentBytes / MIB);
  figure(AREA, 'ms from the end of the load to a new acknowledgement', recoveryMs);
});

it('goes on with the partitions of other brokers while one stands still', async () => {
  const { partitions } = await api.createTopic('islands', PARTITION_COUNT);
  const slowId = partitions[0]?.leaderId;
  const broker = cluster.file.brokers.find(({ id }) => id === slowId);
  if (broker === undefined) throw new Error('partition 0 has no leader');
  const others = partitions.filter(({ leaderId }) => leaderId !== slowId).map(({ partition }) => partition);
  // The same clients and connections for both.
  const load = newLoad(gateway.address, 'islands', 2);
  for (const { partition } of partitions) await load.one(partition);
  const shedBefore = await gateway.metric('partita_gateway_shed_total');
  const acknowledgedBefore = load.acknowledged.size;
  process.kill(broker.pid, 'SIGSTOP');
  let quickFailures = 0;
  let quickCount = 0;
  // Once another broker leads the partition nobody stands still any more: its load is that broker's, and fills what it may.
  const isLedStill = async (): Promise<boolean> => (await api.getTopic('islands')).partitions[0]?.leaderId === slowId;
  try {
    const stalled = load.closedLoop(200, STOPPED_SECONDS, 0);
    const untilMs = performance.now() + STOPPED_SECONDS * 1000;
    const quick = async (partition: number): Promise<void> => {
      while (performance.now() < untilMs) {
        if (await load.one(partition)) quickCount += 1;
        else if (await isLedStill()) quickFailures += 1;
        else return;
      }
    };
    await Promise.all(others.map(quick));
    expect(quickFailures, JSON.stringify(errorsOf(load))).toBe(0);
    expect(await gateway.metric('partita_gateway_shed_total')).toBeGreaterThan(shedBefore);
    process.kill(broker.pid, 'SIGCONT');
    await stalled;
  } finally {
    process.kill(broker.pid, 'SIGCONT');
  }
  expect(load.acknowledged.size - acknowledgedBefore).toBeGreaterThanOrEqual(quickCount);
  expect(quickCount).toBeGreaterThan(others.length);
  await until('the partition to be written again', 30, () => load.one(0));
  expectTruth(load, await storedIds('islands'));
  figure(AREA, 'records to other brokers while one stood still', quickCount);
  figure(AREA, 'failures among them', quickFailures);
});

it('answers everything that it took when it is told to end under load', async () => {
  await api.createTopic('leaving', PARTITION_COUNT);
  const leaving = await newGateway();
  const load = newLoad(leaving.address, 'leaving');
  const running = load.closedLoop(CALLER_COUNT, 1.5);
  await until('the load to run', 10, () => load.acknowledged.size > CALLER_COUNT);
  await leaving.stop();
  await running;
  expect(errorsOf(load)).not.toHaveProperty('OUTCOME_UNKNOWN');
  expect(load.refused.size).toBeGreaterThan(0);
  expectTruth(load, await storedIds('leaving'));
  figure(AREA, 'records acknowledged by a gateway that was told to end', load.acknowledged.size);
  figure(AREA, 'calls in doubt when it ended', load.inDoubt.size);
});
