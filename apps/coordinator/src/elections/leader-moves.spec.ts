/** Leaders on the move, over real calls: by wish, and off a broker that is about to stop. */
import { BrokerState } from '@partita/protocol';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';

const PARTITION_COUNT = 150;
/** On a machine that is busy with other suites, too. */
const MOVED_MS_MAX = 20_000;
let cluster: SpecCluster;
let client: ReturnType<SpecCluster['client']>;
let topicId: string;

beforeEach(async () => {
  cluster = new SpecCluster();
  const coordinator = await cluster.startCoordinator('--expected-brokers', '3');
  for (const id of [1, 2, 3]) await cluster.startBroker(id);
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
  client = cluster.client();
  ({ topicId } = await client.create({ name: 'orders', partitionCount: PARTITION_COUNT }));
  await reportAll(1);
});

afterEach(() => cluster.stop());

/** Every leader tells that all are in sync, and everybody knows. */
async function reportAll(version: number): Promise<void> {
  await eventually(async () => (await client.get('orders')).partitions.every(({ leaderId }) => leaderId > 0));
  for (const { partition, leaderId } of (await client.get('orders')).partitions)
    cluster.broker(leaderId)!.reportInSync(`${topicId}/${partition}`, [1, 2, 3], version);
  await eventually(async () =>
    (await client.get('orders')).partitions.every(({ inSyncIds }) => inSyncIds.length === 3),
  );
}

async function leaderCounts(): Promise<number[]> {
  const { partitions } = await client.get('orders');
  return [1, 2, 3].map((id) => partitions.filter(({ leaderId }) => leaderId === id).length);
}

it('moves everything off a broker that is about to stop, in few calls, evenly, and nothing onto it', async () => {
  const [first] = await leaderCounts();
  const broker = cluster.broker(1)!;
  broker.isDraining = true;
  broker.heartbeat([]);
  await eventually(async () => (await leaderCounts())[0] === 0, MOVED_MS_MAX);
  const [, second = 0, third = 0] = await leaderCounts();
  expect(Math.abs(second - third)).toBeLessThanOrEqual(1);
  expect(broker.pausedCounts.reduce((sum, count) => sum + count, 0)).toBe(first);
  expect(broker.pausedCounts.length).toBeLessThan(8);
  expect(await client.elect('orders', 0, 1)).toMatchObject({ errorReason: 'LEADER_NOT_AVAILABLE' });
});

it('leaves the leader where it is when its follower does not draw level, and tries again', async () => {
  const broker = cluster.broker(1)!;
  broker.neverLevel = true;
  broker.isDraining = true;
  broker.heartbeat([]);
  await eventually(() => broker.pausedCounts.length > 1);
  expect((await leaderCounts())[0]).toBe(PARTITION_COUNT / 3);
  expect(broker.leadingEpochs().every((epoch) => epoch === 1)).toBe(true);
  broker.neverLevel = false;
  await eventually(async () => (await leaderCounts())[0] === 0, MOVED_MS_MAX);
});

it('moves nothing to another broker that is about to stop', async () => {
  // Nothing moves before all of them are known to stop: their heartbeats come one by one.
  for (const broker of cluster.brokers) {
    broker.neverLevel = true;
    broker.isDraining = true;
  }
  const isDraining = async () =>
    (await client.describe()).brokers.every(({ broker }) => broker?.state === BrokerState.BROKER_STATE_DRAINING);
  await eventually(isDraining);
  const before = await leaderCounts();
  // Calls that were under way are over by then.
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const broker of cluster.brokers) {
    broker.neverLevel = false;
    broker.pausedCounts.length = 0;
  }
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(await leaderCounts()).toEqual(before);
  expect(cluster.brokers.flatMap(({ pausedCounts }) => pausedCounts)).toEqual([]);
});
