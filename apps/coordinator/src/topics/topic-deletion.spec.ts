import { afterEach, beforeEach, expect, it } from 'vitest';
import { SpecCluster } from '../testing/spec-cluster.ts';

let cluster: SpecCluster;

beforeEach(() => {
  cluster = new SpecCluster();
});

afterEach(() => cluster.stop());

it('tells no repeat that a topic is gone before tombstones are where no election can miss them', async () => {
  await cluster.startCoordinator();
  const broker = await cluster.startBroker(1);
  const client = cluster.client();
  await expect.poll(() => client.create({ name: 'orders', partitionCount: 1 }).catch(() => undefined)).toBeDefined();
  broker.takesNoTombstones = true;
  await expect(client.delete('orders')).rejects.toMatchObject({ reason: 'TIMED_OUT' });
  await expect(client.get('orders')).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
  await expect(client.delete('orders')).rejects.toMatchObject({ reason: 'TIMED_OUT' });
  expect(broker.disk.replicas.size).toBe(1);

  broker.takesNoTombstones = false;
  // An order of the coordinator itself may be under way: then this one waits for the next.
  const outcome = () => client.delete('orders').then(String, (error: unknown) => error);
  await expect.poll(outcome, { timeout: 5000 }).toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
  expect(broker.disk.replicas.size).toBe(0);
});

it('calls no topic missing that the directory has lost and a broker may hold', async () => {
  const { directory } = cluster;
  const first = await cluster.startCoordinator();
  const broker = await cluster.startBroker(1);
  await expect.poll(() => first.store.readAll().then((stored) => stored?.brokers.length)).toBe(1);
  await cluster.stopCoordinator(first);
  const backup = directory.backUp();

  const second = await cluster.startCoordinator();
  broker.dial(second.peerAddress);
  const create = () => cluster.client().create({ name: 'orders', partitionCount: 1 });
  await expect.poll(() => create().catch(() => undefined)).toBeDefined();
  await cluster.stopCoordinator(second);
  directory.restore(backup);

  const third = await cluster.startCoordinator();
  const client = cluster.client();
  const unheard = { reason: 'REBUILDING', metadata: { missing_brokers: '1' } };
  await expect(client.delete('orders')).rejects.toMatchObject(unheard);
  broker.dial(third.peerAddress);
  await expect.poll(() => client.delete('orders').catch(() => undefined)).toMatchObject({ name: 'orders' });
  expect(broker.disk.replicas.size).toBe(0);
  await expect(client.delete('orders')).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
});
