import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryDirectory } from '@partita/metadata-store';
import { BrokerState, PartitionState, ServiceKind, TopicState } from '@partita/protocol';
import { eventually, SpecCluster } from './testing/spec-cluster.ts';
import { newDisk } from './testing/spec-disk.ts';

let cluster: SpecCluster;

beforeEach(() => {
  cluster = new SpecCluster();
});

afterEach(() => cluster.stop());

async function started(brokerIds: readonly number[], ...flags: string[]) {
  const coordinator = await cluster.startCoordinator('--expected-brokers', String(brokerIds.length), ...flags);
  const brokers = [];
  for (const id of brokerIds) brokers.push(await cluster.startBroker(id));
  await eventually(async () => (await cluster.client().describe()).brokers.length === brokerIds.length);
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
  return { coordinator, brokers, client: cluster.client() };
}

async function refusal(work: Promise<unknown>): Promise<{ reason: string; message: string }> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  return error as { reason: string; message: string };
}

describe('creating topics', () => {
  it('spreads partitions over the brokers, elects leaders and publishes ownership', async () => {
    const { client, coordinator } = await started([1, 2, 3]);
    const topic = await client.create({ name: 'orders', partitionCount: 6 });

    expect(topic.state).toBe(TopicState.TOPIC_STATE_ACTIVE);
    expect(topic.partitions.map(({ leaderId }) => leaderId).sort()).toEqual([1, 1, 2, 2, 3, 3]);
    expect(
      topic.partitions.every(
        ({ leaderEpoch, state }) => leaderEpoch === 1 && state === PartitionState.PARTITION_STATE_ONLINE,
      ),
    ).toBe(true);
    expect(topic.partitions[0]!.hashMin).toBe(0);
    expect(topic.partitions[5]!.hashMax).toBe(2 ** 32 - 1);
    expect(topic.effectiveSettings).toContainEqual({ name: 'retention_age', value: '7d', source: 1 });

    await eventually(async () => {
      const stored = await coordinator.store.readAll();
      return (
        stored?.topics[0]?.state === 'active' && stored.partitions.filter(({ entry }) => entry.leader > 0).length === 6
      );
    });
    const stored = await coordinator.store.readAll();
    expect(stored?.partitions[0]?.entry).toMatchObject({
      epoch: 1,
      status: 'online',
      leader: topic.partitions[0]!.leaderId,
    });
    expect((await client.routes()).map((route) => route.topic)).toEqual(['orders']);
  });

  it('answers the same topic for the same request id, and refuses another one of its name', async () => {
    const { client } = await started([1]);
    const requestId = randomUUID();
    const [first, second] = await Promise.all([
      client.create({ name: 'orders', partitionCount: 2 }, { requestId }),
      client.create({ name: 'orders', partitionCount: 2 }, { requestId }),
    ]);
    expect(second.topicId).toBe(first.topicId);
    expect(await refusal(client.create({ name: 'orders', partitionCount: 2 }))).toMatchObject({
      reason: 'TOPIC_ALREADY_EXISTS',
    });
  });

  it.each([
    [{ name: 'a b', partitionCount: 1 }, 'INVALID_TOPIC_NAME'],
    [{ name: '__mine', partitionCount: 1 }, 'INTERNAL_TOPIC'],
    [{ name: 'a', partitionCount: 0 }, 'INVALID_SETTING'],
    [{ name: 'a', partitionCount: 10_001 }, 'LIMIT_EXCEEDED'],
    [{ name: 'a', partitionCount: 1, replicationFactor: 8 }, 'INVALID_SETTING'],
    [{ name: 'a', partitionCount: 1, replicationFactor: 3 }, 'NOT_ENOUGH_BROKERS'],
    [{ name: 'a', partitionCount: 1, settings: { recordBytesMax: 10, allowedCodecs: [] } }, 'INVALID_SETTING'],
  ])('refuses %j with %s', async (topic, reason) => {
    const { client } = await started([1]);
    expect(await refusal(client.create(topic))).toMatchObject({ reason });
  });

  it('creates nothing when only asked to validate', async () => {
    const { client } = await started([1]);
    await client.create({ name: 'orders', partitionCount: 1 }, { validateOnly: true });
    expect(await refusal(client.get('orders'))).toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    expect((await refusal(client.get('orders'))).message).toContain('npx partita topic create orders');
  });

  it('leaves nothing behind when a broker cannot make its replicas', async () => {
    const coordinator = await cluster.startCoordinator();
    const broker = await cluster.startBroker(1, { refusesReplicas: true });
    await eventually(async () => (await coordinator.store.readAll()) !== undefined);
    const client = cluster.client();
    expect(await refusal(client.create({ name: 'orders', partitionCount: 1 }))).toMatchObject({
      reason: 'STORAGE_FULL',
    });
    expect((await client.list()).topics).toEqual([]);
    await eventually(async () => (await coordinator.store.readAll())?.tombstones.length === 1);
    expect((await coordinator.store.readAll())?.topics).toEqual([]);
    expect(broker.disk.replicas.size).toBe(0);
  });

  it('says that brokers are missing when there are none', async () => {
    await cluster.startCoordinator('--expected-brokers', '0');
    const client = cluster.client();
    await eventually(
      async () => (await refusal(client.create({ name: 'a', partitionCount: 1 }))).reason === 'NOT_ENOUGH_BROKERS',
    );
  });
});

describe('listing, changing and deleting topics', () => {
  it('pages by name and refuses the token of another list', async () => {
    const { client } = await started([1]);
    for (const name of ['c', 'a', 'b']) await client.create({ name, partitionCount: 1 });
    const first = await client.list({ pageSize: 2 });
    expect(first.topics.map(({ name }) => name)).toEqual(['a', 'b']);
    const second = await client.list({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.topics.map(({ name }) => name)).toEqual(['c']);
    expect(second.nextPageToken).toBe('');
    const foreign = client.list({ pageToken: first.nextPageToken, namePrefix: 'x' });
    expect(await refusal(foreign)).toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
  });

  it('changes settings by field mask on the brokers that hold the topic', async () => {
    const { client, brokers } = await started([1]);
    const made = await client.create({ name: 'orders', partitionCount: 1 });
    const wanted = { name: 'orders', etag: made.etag, settings: { retentionBytes: 1n << 30n, allowedCodecs: [] } };
    const tried = await client.update(wanted, ['settings.retention_bytes'], true);
    expect(tried.version).toBe(2n);
    expect((await client.get('orders')).version).toBe(1n);

    const changed = await client.update(wanted, ['settings.retention_bytes']);
    expect(changed.effectiveSettings).toContainEqual({ name: 'retention_bytes', value: '1GiB', source: 3 });
    expect(brokers[0]!.disk.topics.get(made.topicId)).toMatchObject({
      version: 2n,
      settings: { retentionBytes: 1n << 30n },
    });

    expect(await refusal(client.update(wanted, ['settings.retention_bytes']))).toMatchObject({
      reason: 'ETAG_MISMATCH',
    });
    const { etag: _, ...any } = wanted;
    expect(await refusal(client.update(any, ['partition_count']))).toMatchObject({ reason: 'PARTITION_COUNT_FIXED' });
    expect(await refusal(client.update(any, ['settings.colour']))).toMatchObject({ reason: 'INVALID_SETTING' });
    expect(await refusal(client.update(any, []))).toMatchObject({ reason: 'INVALID_REQUEST' });
  });

  it('changes several topics of one broker at once', async () => {
    const { client, brokers } = await started([1]);
    const names = ['a', 'b', 'c', 'd'];
    for (const name of names) await client.create({ name, partitionCount: 1 });
    const settings = { retentionBytes: 1n << 30n, allowedCodecs: [] };
    const changed = await Promise.all(
      names.map((name) => client.update({ name, settings }, ['settings.retention_bytes'])),
    );
    for (const { topicId } of changed)
      expect(brokers[0]!.disk.topics.get(topicId)?.settings).toMatchObject({ retentionBytes: 1n << 30n });
  });

  it('deletes on the brokers and in the directory, and lets the name be used again', async () => {
    const { client, brokers, coordinator } = await started([1, 2]);
    const made = await client.create({ name: 'orders', partitionCount: 4 });
    const deleted = await client.delete('orders');
    expect(deleted.state).toBe(TopicState.TOPIC_STATE_DELETING);
    for (const broker of brokers) {
      expect(broker.disk.replicas.size).toBe(0);
      expect([...broker.disk.tombstones.keys()]).toEqual([made.topicId]);
    }
    await eventually(async () => (await coordinator.store.readAll())?.tombstones[0]?.topicId === made.topicId);
    expect(await refusal(client.get('orders'))).toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    const again = await client.create({ name: 'orders', partitionCount: 1 });
    expect(again.topicId).not.toBe(made.topicId);
  });

  it('refuses to delete what a broker that is away holds, and keeps it', async () => {
    const { client, brokers } = await started([1, 2]);
    await client.create({ name: 'orders', partitionCount: 2, replicationFactor: 1 });
    brokers[1]!.stop();
    await eventually(async () => (await client.describe()).brokers[1]?.broker?.state === BrokerState.BROKER_STATE_DOWN);
    expect(await refusal(client.delete('orders'))).toMatchObject({ reason: 'NOT_ENOUGH_BROKERS' });
    expect((await client.get('orders')).name).toBe('orders');
  });
});

describe('brokers that go and come', () => {
  it('shows partitions offline while their broker is away, and elects anew when it is back', async () => {
    const { client, brokers } = await started([1, 2]);
    await client.create({ name: 'orders', partitionCount: 2, replicationFactor: 1 });
    brokers[0]!.stop();
    await eventually(async () => (await client.describe()).offlineCount === 1);
    const offline = (await client.get('orders')).partitions.find(({ leaderId }) => leaderId === 0);
    expect(offline).toMatchObject({ state: PartitionState.PARTITION_STATE_OFFLINE, leaderEpoch: 1 });

    await cluster.startBroker(brokers[0]!.disk);
    await eventually(async () => (await client.describe()).offlineCount === 0);
    const back = (await client.get('orders')).partitions.find(({ partition }) => partition === offline!.partition);
    expect(back).toMatchObject({ leaderId: 1, leaderEpoch: 2 });
    await eventually(async () => {
      const stored = await cluster.coordinators[0]!.store.readAll();
      return stored?.partitions.find(({ partition }) => partition === offline!.partition)?.entry.epoch === 2;
    });
  });

  it('counts a broker as lost when it is silent, and lets its leaders go on when only the session broke', async () => {
    const { client, brokers, coordinator } = await started([1]);
    await client.create({ name: 'orders', partitionCount: 1 });
    brokers[0]!.silence();
    await eventually(async () => (await client.describe()).offlineCount === 1);
    await eventually(() => brokers[0]!.ended !== 'open');
    const promised = brokers[0]!.promiseCallCount;
    brokers[0]!.dial(coordinator.peerAddress);
    await eventually(async () => (await client.get('orders')).partitions[0]?.leaderId === 1);
    expect((await client.get('orders')).partitions[0]?.leaderEpoch).toBe(1);
    expect(brokers[0]!.promiseCallCount).toBe(promised);
  });

  it('elects again when a leader has resigned', async () => {
    const { client, brokers } = await started([1]);
    await client.create({ name: 'orders', partitionCount: 1 });
    brokers[0]!.resign();
    await eventually(async () => (await client.get('orders')).partitions[0]?.leaderEpoch === 2);
  });

  it('refuses a second broker under the id of a live one, and a broker of another cluster', async () => {
    await started([1]);
    const twin = await cluster.startBroker(newDisk(1));
    await eventually(() => twin.ended !== 'open');
    expect(twin.ended).toMatchObject({ reason: 'INVALID_REQUEST' });
    const stranger = await cluster.startBroker(2, { clusterId: randomUUID() });
    await eventually(() => stranger.ended !== 'open');
    expect(stranger.ended).toMatchObject({ reason: 'WRONG_CLUSTER' });
  });

  it('sends brokers the whole directory, then what changes', async () => {
    const { client, brokers } = await started([1]);
    expect(brokers[0]!.directory[0]?.routes).toMatchObject({ reset: true, complete: true });
    await client.create({ name: 'orders', partitionCount: 1 });
    await eventually(() => brokers[0]!.directory.some(({ routes }) => routes?.routes[0]?.topic === 'orders'));
    await client.delete('orders');
    await eventually(() => brokers[0]!.directory.some(({ routes }) => routes?.deletedTopicIds.length === 1));
  });
});

describe('the directory', () => {
  it('is read back by a coordinator that starts again', async () => {
    const { client, brokers, coordinator } = await started([1]);
    const made = await client.create({
      name: 'orders',
      partitionCount: 3,
      settings: { segmentBytes: 1n << 20n, allowedCodecs: [] },
    });
    await eventually(async () => (await coordinator.store.readAll())?.topics[0]?.state === 'active');
    await cluster.stopCoordinator(coordinator);
    const next = await cluster.startCoordinator();
    expect((await cluster.client().get('orders')).topicId).toBe(made.topicId);
    brokers[0]!.dial(next.peerAddress);
    await eventually(async () => (await cluster.client().describe()).offlineCount === 0);
    const topic = await cluster.client().get('orders');
    expect(topic.settings?.segmentBytes).toBe(1n << 20n);
    expect(topic.partitions.map(({ leaderEpoch }) => leaderEpoch)).toEqual([1, 1, 1]);
  });

  it('is rebuilt from the brokers when it is gone, without an election for leaders that lead', async () => {
    const { client, brokers, coordinator } = await started([1, 2]);
    const made = await client.create({ name: 'orders', partitionCount: 4 });
    await client.create({ name: 'gone', partitionCount: 1 });
    await client.delete('gone');
    await cluster.stopCoordinator(coordinator);
    cluster.directory = new MemoryDirectory();
    const next = await cluster.startCoordinator('--expected-brokers', '2');
    const rebuilt = cluster.client();
    brokers[0]!.dial(next.peerAddress);
    await eventually(async () => (await rebuilt.routes()).length === 1);
    expect(await refusal(rebuilt.create({ name: 'more', partitionCount: 1 }))).toMatchObject({ reason: 'REBUILDING' });
    brokers[1]!.dial(next.peerAddress);
    await eventually(async () => (await next.store.readAll()) !== undefined);
    const topic = await rebuilt.get('orders');
    expect(topic.topicId).toBe(made.topicId);
    expect(topic.partitions.map(({ leaderId, leaderEpoch }) => [leaderId, leaderEpoch])).toEqual(
      made.partitions.map(({ leaderId, leaderEpoch }) => [leaderId, leaderEpoch]),
    );
    const stored = await next.store.readAll();
    expect(stored?.topics.map(({ name }) => name)).toEqual(['orders']);
    expect(stored?.tombstones).toHaveLength(1);
    expect((await rebuilt.create({ name: 'more', partitionCount: 1 })).name).toBe('more');
  });

  it('is written back by the active coordinator when it is wiped, while everything goes on', async () => {
    const { client, brokers, coordinator } = await started([1]);
    const made = await client.create({ name: 'orders', partitionCount: 2 });
    await eventually(async () => (await coordinator.store.readAll())?.partitions.length === 2);
    const generation = (await coordinator.store.readAll())?.meta.generation;
    const promised = brokers[0]!.promiseCallCount;
    cluster.directory.wipe();
    await eventually(async () => {
      const stored = await coordinator.store.readAll();
      return stored !== undefined && stored.meta.generation !== generation;
    });
    const stored = await coordinator.store.readAll();
    expect(stored?.topics).toMatchObject([{ topicId: made.topicId, state: 'active' }]);
    expect(stored?.partitions.map(({ entry }) => entry.epoch)).toEqual([1, 1]);
    expect(brokers[0]!.promiseCallCount).toBe(promised);
    expect((await client.create({ name: 'more', partitionCount: 1 })).name).toBe('more');
  });

  it('is corrected when it is restored from a backup: nothing new is lost, nothing deleted comes back', async () => {
    const { client, coordinator } = await started([1]);
    await client.create({ name: 'deleted', partitionCount: 1 });
    await eventually(async () => (await coordinator.store.readAll())?.partitions.length === 1);
    const backup = cluster.directory.backUp();
    await client.delete('deleted');
    await client.create({ name: 'created', partitionCount: 1 });
    await eventually(async () => (await coordinator.store.readAll())?.tombstones.length === 1);
    cluster.directory.restore(backup);
    await eventually(async () => (await coordinator.store.readAll())?.topics[0]?.name === 'created');
    expect((await coordinator.store.readAll())?.topics).toHaveLength(1);
  });

  it('is not needed to elect, only to change topics; what was decided meanwhile is written when it is back', async () => {
    const { client, brokers, coordinator } = await started([1]);
    await client.create({ name: 'orders', partitionCount: 1 });
    await eventually(async () => (await coordinator.store.readAll())?.partitions[0]?.entry.epoch === 1);
    await coordinator.store.close();
    brokers[0]!.stop();
    await eventually(async () => (await client.describe()).offlineCount === 1);
    await cluster.startBroker(brokers[0]!.disk);
    await eventually(async () => (await client.get('orders')).partitions[0]?.leaderEpoch === 2, 15_000);
    expect(await refusal(client.create({ name: 'more', partitionCount: 1 }))).toMatchObject({
      reason: 'METADATA_STORE_UNAVAILABLE',
    });
    await coordinator.store.connect();
    await eventually(async () => (await coordinator.store.readAll())?.partitions[0]?.entry.epoch === 2);
    await eventually(
      async () => (await client.create({ name: 'more', partitionCount: 1 }).catch(() => undefined)) !== undefined,
    );
  });

  it('of another cluster is refused at the start', async () => {
    await started([1]);
    const other = new SpecCluster();
    other.directory = cluster.directory;
    expect(await refusal(other.startCoordinator())).toMatchObject({ reason: 'WRONG_CLUSTER' });
    await other.stop();
  });

  it('tells a broker that was away of the deletion when it is back', async () => {
    const { client, brokers, coordinator } = await started([1]);
    await client.create({ name: 'orders', partitionCount: 1 });
    const copy = structuredClone(brokers[0]!.disk);
    await client.delete('orders');
    await eventually(async () => (await coordinator.store.readAll())?.tombstones.length === 1);
    brokers[0]!.stop();
    await eventually(async () => (await client.describe()).brokers[0]?.broker?.state === BrokerState.BROKER_STATE_DOWN);
    const old = await cluster.startBroker(copy);
    await eventually(() => old.disk.replicas.size === 0);
    expect((await client.list()).topics).toEqual([]);
  });

  it('is kept by one coordinator at a time; the other passes admin calls on and takes over', async () => {
    const { brokers, coordinator, client } = await started([1]);
    const standby = await cluster.startCoordinator();
    brokers[0]!.dial(standby.peerAddress);
    // The session with the first is replaced by that with the second in this broker: only the first's calls matter here.
    brokers[0]!.dial(coordinator.peerAddress);
    const topic = await cluster.client(standby).create({ name: 'orders', partitionCount: 1 });
    expect(topic.partitions[0]?.leaderId).toBe(1);
    const { endpoints } = await cluster.client(standby).cluster();
    const active = endpoints.filter(
      ({ service, active }) => service === ServiceKind.SERVICE_KIND_COORDINATOR && active,
    );
    expect(active.map(({ address }) => address)).toEqual([coordinator.address]);

    // A standby that has read one build goes on reading the next: clients ask it for routes.
    cluster.directory.wipe();
    await eventually(async () => (await coordinator.store.readAll()) !== undefined);
    await client.create({ name: 'later', partitionCount: 1 });
    await eventually(async () => (await cluster.client(standby).routes()).some(({ topic }) => topic === 'later'));

    await cluster.stopCoordinator(coordinator);
    brokers[0]!.dial(standby.peerAddress);
    await eventually(async () => {
      const taken = await cluster.client(standby).cluster();
      return taken.endpoints.some(({ address, active }) => active && address === standby.address);
    });
    await eventually(async () => (await cluster.client(standby).get('orders')).partitions[0]?.leaderId === 1);
  });
});
