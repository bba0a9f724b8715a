/** A coordinator's memory and the directory, when one of them is lost or lies. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryDirectory } from '@partita/metadata-store';
import type { PartitionEntry } from '@partita/metadata-store';
import { TopicConfig } from '@partita/protocol';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';
import type { RunningCoordinator } from '../testing/spec-cluster.ts';
import { newDisk } from '../testing/spec-disk.ts';

let cluster: SpecCluster;

beforeEach(() => {
  cluster = new SpecCluster();
});

afterEach(() => cluster.stop());

const TWO = ['--expected-brokers', '2'];

async function twoBrokers() {
  const coordinator = await cluster.startCoordinator(...TWO);
  const brokers = [await cluster.startBroker(1), await cluster.startBroker(2)];
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
  const client = cluster.client();
  await client.create({ name: 'orders', partitionCount: 2, replicationFactor: 2 });
  await eventually(async () => (await coordinator.store.readAll())?.topics[0]?.state === 'active');
  return { coordinator, brokers, client };
}

const refusal = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'not refused',
    (error: unknown) => error,
  );

const writtenAnew = (coordinator: RunningCoordinator, generation: string | undefined): Promise<void> =>
  eventually(async () => {
    const stored = await coordinator.store.readAll();
    return stored !== undefined && stored.meta.generation !== generation && stored.topics.length === 1;
  });

describe('a coordinator with the whole picture in memory', () => {
  it('writes a lost directory back although a broker is away', async () => {
    const { coordinator, brokers } = await twoBrokers();
    const generation = (await coordinator.store.readAll())?.meta.generation;
    brokers[1]!.stop();
    cluster.directory.wipe();
    await writtenAnew(coordinator, generation);
    const stored = await coordinator.store.readAll();
    expect(stored?.brokers.map(({ brokerId }) => brokerId)).toEqual([1, 2]);
  });

  it('is left a lost directory by a standby, who would have to wait for the broker that is away', async () => {
    const { coordinator, brokers, client } = await twoBrokers();
    const generation = (await coordinator.store.readAll())?.meta.generation;
    const standby = await cluster.startCoordinator(...TWO);
    await eventually(async () => (await cluster.client(standby).routes()).length === 1);
    brokers[1]!.stop();
    for (let time = 0; time < 3; time += 1) {
      const before = time === 0 ? generation : (await coordinator.store.readAll())?.meta.generation;
      cluster.directory.wipe();
      await writtenAnew(coordinator, before);
      expect((await client.create({ name: `made-${time}`, partitionCount: 1 })).partitions[0]?.leaderId).toBe(1);
      await client.delete(`made-${time}`);
    }
    const { endpoints } = await cluster.client(standby).cluster();
    expect(endpoints.find(({ active }) => active)?.address).toBe(coordinator.address);
  }, 40_000);

  it('finds the directory as it was when only its lease was gone, and writes nothing anew', async () => {
    const { coordinator, brokers, client } = await twoBrokers();
    const generation = (await coordinator.store.readAll())?.meta.generation;
    brokers[1]!.stop();
    const backup = cluster.directory.backUp();
    cluster.directory.restore({ ...backup, lease: undefined });
    await eventually(async () => (await coordinator.store.leaseHolder()) !== undefined);
    await eventually(
      async () => (await client.create({ name: 'more', partitionCount: 1 }).catch(() => undefined)) !== undefined,
    );
    expect((await coordinator.store.readAll())?.meta.generation).toBe(generation);
  });

  it('replaces a copy from before it had the lease, although a broker is away', async () => {
    const { coordinator, brokers } = await twoBrokers();
    const backup = { ...cluster.directory.backUp(), lease: undefined, leaseNumberGiven: 0, topics: new Map() };
    brokers[1]!.stop();
    cluster.directory.restore(backup);
    await writtenAnew(coordinator, backup.meta?.generation);
  });
});

describe('a directory of another cluster', () => {
  it('ends a coordinator that meets it while it runs, and is not written to', async () => {
    const { coordinator } = await twoBrokers();
    await eventually(async () => (await coordinator.store.readMeta()).status === 'current');
    const { state } = cluster.directory;
    state.meta = { clusterId: randomUUID(), generation: randomUUID(), revision: 7 };
    const other = structuredClone(state);
    await eventually(() => cluster.wrongCluster.length > 0);
    expect(cluster.wrongCluster[0]).toMatchObject({ reason: 'WRONG_CLUSTER' });
    expect({ ...cluster.directory.state, lease: undefined }).toEqual({ ...other, lease: undefined });
    cluster.directory.wipe();
  });
});

describe('a directory that somebody else changed', () => {
  it.each([
    ['an epoch', (state: MemoryDirectory['state']) => changePartition(state, { epoch: 500, leader: 9 })],
    ['a replica set', (state: MemoryDirectory['state']) => changePartition(state, { replicas: [], configVersion: 9 })],
    ['a topic that is gone', (state: MemoryDirectory['state']) => state.topics.clear()],
  ])('is found and written anew, while the coordinator runs: %s', async (_what, change) => {
    await cluster.stop();
    cluster = new SpecCluster({ directoryCheckMs: 100 });
    const { coordinator } = await twoBrokers();
    await eventually(async () => (await coordinator.store.readAll())?.partitions.length === 2);
    const before = await coordinator.store.readAll();
    change(cluster.directory.state);
    await eventually(
      async () => (await coordinator.store.readAll())?.meta.generation !== before?.meta.generation,
      15_000,
    );
    const after = await coordinator.store.readAll();
    expect(after?.topics).toEqual(before?.topics);
    expect(after?.partitions.map(({ entry }) => [entry.epoch, entry.leader, entry.replicas])).toEqual(
      before?.partitions.map(({ entry }) => [entry.epoch, entry.leader, entry.replicas]),
    );
    expect(cluster.logged.map(({ msg }) => msg)).toContain('the directory is not what was written; writing it anew');
  });

  it('is left alone when it is as it was written', async () => {
    await cluster.stop();
    cluster = new SpecCluster({ directoryCheckMs: 100 });
    const { coordinator, client } = await twoBrokers();
    const before = await coordinator.store.readAll();
    for (let number = 0; number < 4; number += 1) {
      await client.create({ name: `more-${number}`, partitionCount: 3 });
      await new Promise((resolve) => setTimeout(resolve, 1200));
    }
    expect((await coordinator.store.readAll())?.meta.generation).toBe(before?.meta.generation);
  });

  function changePartition({ partitions }: MemoryDirectory['state'], changed: Partial<PartitionEntry>): void {
    for (const entries of partitions.values()) {
      const entry = entries.get(0);
      if (entry !== undefined) entries.set(0, { ...entry, ...changed });
    }
  }
});

describe('a coordinator without memory and without a directory', () => {
  const alone = async (...flags: string[]) => {
    const { coordinator, brokers } = await twoBrokers();
    await cluster.stopCoordinator(coordinator);
    cluster.directory = new MemoryDirectory();
    const next = await cluster.startCoordinator('--expected-brokers', '1', ...flags);
    brokers[0]!.dial(next.peerAddress);
    const client = cluster.client();
    await eventually(async () => (await client.routes()).length === 1);
    return { next, brokers, client };
  };

  it('refuses changes until every broker that others have heard of has reported, and names it', async () => {
    const { next, brokers, client } = await alone();
    for (let look = 0; look < 5; look += 1) {
      expect(await refusal(client.create({ name: 'more', partitionCount: 1 }))).toMatchObject({
        reason: 'REBUILDING',
        metadata: { missing_brokers: '2' },
      });
      expect(await next.store.readAll()).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    brokers[1]!.dial(next.peerAddress);
    await writtenAnew(next, undefined);
    expect((await client.create({ name: 'more', partitionCount: 1 })).name).toBe('more');
  });

  it('goes on without it when it is told to', async () => {
    const { next, client } = await alone('--rebuild-incomplete');
    await writtenAnew(next, undefined);
    expect((await client.create({ name: 'more', partitionCount: 1 })).name).toBe('more');
    expect((await client.get('orders')).partitions).toHaveLength(2);
  });

  it('keeps both of two topics that brokers know by one name: the older has it, the other is parked', async () => {
    const { coordinator, brokers, client } = await twoBrokers();
    const older = await client.get('orders');
    const twin = newDisk(3);
    const [config] = [...brokers[0]!.disk.topics.values()];
    const topicId = randomUUID();
    twin.topics.set(topicId, TopicConfig.fromPartial({ ...config, topicId, createTimeMs: config!.createTimeMs + 1n }));
    const [replica] = [...brokers[0]!.disk.replicas.values()];
    twin.replicas.set(`${topicId}/0`, { ...replica!, made: { ...replica!.made, topicId } });
    await cluster.stopCoordinator(coordinator);
    cluster.directory = new MemoryDirectory();
    const next = await cluster.startCoordinator('--expected-brokers', '3');
    // The younger is heard first.
    const third = await cluster.startBroker(twin);
    await eventually(async () => (await cluster.client().list()).topics.length === 1);
    for (const broker of brokers) broker.dial(next.peerAddress);
    await eventually(async () => (await next.store.readAll())?.topics.length === 2);
    const stored = await next.store.readAll();
    expect(Object.fromEntries(stored!.topics.map((topic) => [topic.name, topic.topicId]))).toEqual({
      orders: older.topicId,
      [`orders~conflict~${topicId}`]: topicId,
    });
    expect((await cluster.client().get('orders')).topicId).toBe(older.topicId);
    expect([...third.disk.topics.keys()]).toEqual([topicId]);
  });

  it('tells nobody that a topic was made of which one broker holds a replica, and makes it when asked again', async () => {
    const { coordinator, brokers } = await twoBrokers();
    const { disk } = brokers[0]!;
    const half = randomUUID();
    const [config] = [...disk.topics.values()];
    disk.topics.set(half, TopicConfig.fromPartial({ ...config, topicId: half, topic: 'half', requestId: 'again' }));
    const replica = disk.replicas.get(`${config!.topicId}/0`)!;
    disk.replicas.set(`${half}/0`, {
      ...replica,
      made: { ...replica.made, topicId: half },
      promisedEpoch: 0,
      lastEpoch: 0,
    });
    await cluster.stopCoordinator(coordinator);
    cluster.directory = new MemoryDirectory();
    const next = await cluster.startCoordinator(...TWO);
    const client = cluster.client();
    for (const broker of brokers) broker.dial(next.peerAddress);
    const topic = { name: 'half', partitionCount: 1, replicationFactor: 2 };
    await eventually(async () => {
      const made = await client.create(topic, { requestId: 'again' }).catch(() => undefined);
      return made !== undefined && made.topicId !== half && made.partitions[0]!.leaderId > 0;
      // Another coordinator might be at it: that is waited for.
    }, 20_000);
    await eventually(() => !disk.replicas.has(`${half}/0`));
  }, 30_000);
});
