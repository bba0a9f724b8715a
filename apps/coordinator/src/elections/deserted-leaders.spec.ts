/** A leader that everybody hears but its followers, over real calls. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';

const PARTITION_COUNT = 6;
let cluster: SpecCluster;
let client: ReturnType<SpecCluster['client']>;

beforeEach(async () => {
  cluster = new SpecCluster();
  const coordinator = await cluster.startCoordinator('--expected-brokers', '3');
  for (const id of [1, 2, 3]) await cluster.startBroker(id);
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
  client = cluster.client();
  await client.create({ name: 'orders', partitionCount: PARTITION_COUNT });
  await eventually(async () => (await client.get('orders')).partitions.every(({ leaderId }) => leaderId > 0));
});

afterEach(() => cluster.stop());

async function leaders(): Promise<number[]> {
  return (await client.get('orders')).partitions.map(({ leaderId }) => leaderId);
}

it('is replaced by one of them, without being asked, and the others stay', async () => {
  const before = await leaders();
  const cut = cluster.broker(1)!;
  const askedBefore = cut.promiseCallCount;
  cut.cutFromIds = [2, 3];
  await eventually(async () => !(await leaders()).includes(1), 15_000);
  const after = await leaders();
  expect(before).toContain(1);
  for (const [partition, leader] of before.entries()) if (leader !== 1) expect(after[partition]).toBe(leader);
  expect(cut.promiseCallCount).toBe(askedBefore);
});

it('stays when one follower hears it, which is enough to commit', async () => {
  const before = await leaders();
  cluster.broker(1)!.cutFromIds = [2];
  await new Promise((resolve) => setTimeout(resolve, 4500));
  expect(await leaders()).toEqual(before);
});
