import { metricValue } from '@partita/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, SpecCluster } from './testing/spec-cluster.ts';
import type { RunningCoordinator } from './testing/spec-cluster.ts';

let cluster: SpecCluster;

beforeEach(() => {
  cluster = new SpecCluster();
});
afterEach(() => cluster.stop());

const read = ({ metrics }: RunningCoordinator, name: string, labels?: Readonly<Record<string, string>>) =>
  metricValue(metrics, `partita.coordinator.${name}`, labels);

describe("the coordinator's metrics", () => {
  it('tell what the cluster has, and how many elections gave it its leaders', async () => {
    const coordinator = await cluster.startCoordinator();
    await cluster.startBroker(1);
    await eventually(() => read(coordinator, 'brokers', { state: 'up' }) === 1);
    await cluster.client().create({ name: 'wide', partitionCount: 3 });

    expect(read(coordinator, 'active')).toBe(1);
    expect(read(coordinator, 'lease.changes', { change: 'taken' })).toBe(1);
    expect(read(coordinator, 'lease.changes', { change: 'lost' })).toBe(0);
    expect(read(coordinator, 'store.connected')).toBe(1);
    expect(read(coordinator, 'topics')).toBe(1);
    expect(read(coordinator, 'partitions')).toBe(3);
    expect(read(coordinator, 'partitions.offline')).toBe(0);
    expect(read(coordinator, 'partitions.under_replicated')).toBe(0);
    expect(read(coordinator, 'elections', { outcome: 'led' })).toBe(3);
    expect(read(coordinator, 'elections', { outcome: 'failed' })).toBe(0);
    expect(read(coordinator, 'election.duration')).toBe(3);
    await eventually(() => read(coordinator, 'store.pending') === 0);
  });

  it('tell what a broker that is gone leaves without a leader', async () => {
    const coordinator = await cluster.startCoordinator();
    const broker = await cluster.startBroker(1);
    await eventually(() => read(coordinator, 'brokers', { state: 'up' }) === 1);
    await cluster.client().create({ name: 'lone', partitionCount: 2 });
    broker.stop();
    await eventually(() => read(coordinator, 'brokers', { state: 'silent' }) === 1);
    expect(read(coordinator, 'brokers', { state: 'up' })).toBe(0);
    expect(read(coordinator, 'partitions.offline')).toBe(2);
  });

  it('count an election that an operator asks for', async () => {
    const coordinator = await cluster.startCoordinator('--expected-brokers', '2');
    for (const id of [1, 2]) await cluster.startBroker(id);
    await eventually(() => read(coordinator, 'brokers', { state: 'up' }) === 2);
    const topic = await cluster.client().create({ name: 'one', partitionCount: 1 });
    const [key, leader] = [`${topic.topicId}/0`, topic.partitions[0]!.leaderId];
    await eventually(() => cluster.brokers.every(({ disk }) => disk.replicas.get(key)?.logEnd === 1n));
    expect(read(coordinator, 'partitions.under_replicated')).toBe(1);
    cluster.broker(leader)!.reportInSync(key, [1, 2], 1);
    await eventually(() => read(coordinator, 'partitions.under_replicated') === 0);
    await cluster.client().elect('one', 0, 3 - leader);
    expect(read(coordinator, 'elections', { outcome: 'led' })).toBe(2);
    expect(read(coordinator, 'election.duration')).toBe(2);
  });

  it('say on standby only that it is, and after it has taken over what there is', async () => {
    const first = await cluster.startCoordinator();
    const second = await cluster.startCoordinator();
    expect(read(second, 'active')).toBe(0);
    expect(read(second, 'topics')).toBeUndefined();
    expect(read(second, 'brokers', { state: 'up' })).toBeUndefined();
    await cluster.stopCoordinator(first);
    await eventually(() => read(second, 'active') === 1);
    expect(read(second, 'lease.changes', { change: 'taken' })).toBe(1);
    expect(read(second, 'topics')).toBe(0);
  });
});
