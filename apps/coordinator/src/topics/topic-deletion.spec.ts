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
  const reason = () => client.delete('orders').then(String, (error: { reason: string }) => error.reason);
  await expect.poll(reason, { timeout: 5000 }).toBe('TOPIC_NOT_FOUND');
  expect(broker.disk.replicas.size).toBe(0);
});
