/** Partitions with several replicas: who leads after what, over real sessions and calls. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PartitionState } from '@partita/protocol';
import type { Topic } from '@partita/protocol';
import { eventually, SpecCluster } from './testing/spec-cluster.ts';

let cluster: SpecCluster;

beforeEach(() => {
  cluster = new SpecCluster();
});

afterEach(() => cluster.stop());

async function started(brokerIds: readonly number[]) {
  const coordinator = await cluster.startCoordinator('--expected-brokers', String(brokerIds.length));
  for (const id of brokerIds) await cluster.startBroker(id);
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
  return { coordinator, client: cluster.client() };
}

/** A topic of one partition with three replicas that follow their leader. */
async function replicated(client: ReturnType<SpecCluster['client']>) {
  const topic = await client.create({ name: 'orders', partitionCount: 1 });
  const key = `${topic.topicId}/0`;
  const leader = cluster.broker(leaderOf(topic))!;
  await followersFollow(key);
  return { topic, key, leader, followers: cluster.brokers.filter((broker) => broker !== leader) };
}

/** Two heartbeats after the followers have found their leader, the coordinator knows. */
async function followersFollow(key: string): Promise<void> {
  await eventually(() => new Set(cluster.brokers.map(({ disk }) => disk.replicas.get(key)?.logEnd)).size === 1);
  await new Promise((resolve) => setTimeout(resolve, 500));
}

function leaderOf(topic: Topic): number {
  return topic.partitions[0]!.leaderId;
}

describe('a topic with several replicas', () => {
  it('has as many as there are brokers, at most three, and tells brokers its leaders before it is there', async () => {
    const { client, coordinator } = await started([1, 2, 3, 4]);
    const topic = await client.create({ name: 'orders', partitionCount: 4 });
    expect(topic).toMatchObject({ replicationFactor: 3 });
    expect(topic.effectiveSettings).toContainEqual({ name: 'min_in_sync_replicas', value: '2', source: 1 });
    expect(topic.partitions.map(({ replicas }) => replicas.length)).toEqual([3, 3, 3, 3]);
    expect(topic.partitions.map(({ leaderId }) => leaderId).sort()).toEqual([1, 2, 3, 4]);
    for (const broker of cluster.brokers) {
      const told = broker.directory.flatMap(({ routes }) => routes?.routes ?? []).map((route) => route.partitions);
      expect(told.some((partitions) => partitions.every(({ leaderId }) => leaderId > 0))).toBe(true);
    }
    await eventually(async () => (await coordinator.store.readAll())?.topics[0]?.replicationFactor === 3);
  });

  it('is not made when one of the brokers cannot make its replica, and nobody is told of it', async () => {
    const { client } = await started([1, 2]);
    await cluster.startBroker(3, { refusesReplicas: true });
    await eventually(async () => (await client.describe()).brokers.length === 3);
    const refused = client.create({ name: 'orders', partitionCount: 2 });
    await expect(refused).rejects.toMatchObject({ reason: 'STORAGE_FULL' });
    await eventually(() => cluster.brokers.every(({ disk }) => disk.replicas.size === 0));
    const told = cluster.brokers.flatMap(({ directory }) => directory.flatMap(({ routes }) => routes?.routes ?? []));
    expect(told).toEqual([]);
  });

  it('publishes in-sync sets to clients and to the directory', async () => {
    const { client, coordinator } = await started([1, 2, 3]);
    const { key, leader } = await replicated(client);
    for (let version = 1; version <= 20; version += 1)
      leader.reportInSync(key, [1, 2, 3].slice(0, 1 + (version % 3)), version);
    leader.reportInSync(key, [1, 2, 3], 21);
    await eventually(async () => (await client.routes())[0]?.partitions[0]?.inSyncIds.length === 3);
    await eventually(async () => (await coordinator.store.readAll())?.partitions[0]?.entry.isrVersion === 21);
  });

  it('is deleted and changed while a broker that holds it is away, which learns of it when it is back', async () => {
    const { client } = await started([1, 2, 3]);
    const { followers } = await replicated(client);
    const [away] = followers;
    away!.stop();
    await eventually(async () => (await client.describe()).brokers.some(({ broker }) => broker?.state === 3));
    const settings = { retentionBytes: 1n << 30n, allowedCodecs: [] };
    await client.update({ name: 'orders', settings }, ['settings.retention_bytes']);
    const back = await cluster.startBroker(away!.disk);
    await eventually(() => [...back.disk.topics.values()][0]?.version === 2n);
    back.stop();
    await eventually(async () => (await client.describe()).brokers.some(({ broker }) => broker?.state === 3));
    await client.delete('orders');
    const again = await cluster.startBroker(back.disk);
    await eventually(() => again.disk.replicas.size === 0);
  });
});

describe('a leader that is gone', () => {
  it('is replaced at once by the replica with the best log', async () => {
    const { client } = await started([1, 2, 3]);
    const { key, leader, followers } = await replicated(client);
    const last = followers[1]!;
    last.disk.replicas.get(key)!.logEnd += 5n;
    const killedMs = performance.now();
    leader.stop();
    await eventually(() => last.leads(key) === 2);
    expect(performance.now() - killedMs).toBeLessThan(1000);
    await eventually(async () => leaderOf(await client.get('orders')) === last.disk.brokerId);
  });

  it('is not replaced while its followers hear it, only because its sessions broke', async () => {
    const { client, coordinator } = await started([1, 2, 3]);
    const { leader } = await replicated(client);
    leader.cutOff();
    await eventually(async () => (await client.describe()).brokers.some(({ broker }) => broker?.state === 3));
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const { partitions } = await client.get('orders');
    expect(partitions[0]).toMatchObject({ leaderEpoch: 1, leaderId: leader.disk.brokerId });
    leader.dial(coordinator.peerAddress);
    await eventually(async () => (await client.describe()).brokers.every(({ broker }) => broker?.state === 1));
    expect(cluster.brokers.map(({ promiseCallCount }) => promiseCallCount)).toEqual([1, 1, 1]);
  });

  it('has no successor while too few replicas answer, or only suspect ones', async () => {
    const { client } = await started([1, 2, 3]);
    const { key, leader, followers } = await replicated(client);
    leader.stop();
    followers[0]!.stop();
    await eventually(async () => (await client.describe()).offlineCount === 1);
    expect((await client.get('orders')).partitions[0]?.state).toBe(PartitionState.PARTITION_STATE_OFFLINE);
    const { disk } = followers[0]!;
    disk.replicas.get(key)!.suspect = true;
    await cluster.startBroker(disk);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect((await client.describe()).offlineCount).toBe(1);
    await cluster.startBroker(leader.disk);
    await eventually(async () => (await client.describe()).offlineCount === 0);
  });

  it('is chosen anew under a higher epoch when the one chosen does not answer', async () => {
    const { client } = await started([1, 2, 3]);
    const { leader, followers } = await replicated(client);
    for (const follower of followers) follower.leadFailures = 1;
    leader.stop();
    await eventually(async () => leaderOf(await client.get('orders')) !== leader.disk.brokerId);
    await eventually(async () => leaderOf(await client.get('orders')) > 0);
    expect((await client.get('orders')).partitions[0]!.leaderEpoch).toBeGreaterThan(2);
  });

  it('leaves a deleted topic behind when a replica knows of the deletion', async () => {
    const { client } = await started([1, 2, 3]);
    const { topic, leader, followers } = await replicated(client);
    followers[0]!.disk.tombstones.set(topic.topicId, { topicId: topic.topicId, deleteId: 'd', deleteTimeMs: 1n });
    leader.stop();
    await eventually(async () => (await client.list()).topics.length === 0);
    await eventually(() => followers.every(({ disk }) => disk.replicas.size === 0));
  });
});

describe('coordinators that change', () => {
  it('elect for a leader that died while none was active', async () => {
    const { client, coordinator } = await started([1, 2, 3]);
    const standby = await cluster.startCoordinator();
    for (const broker of cluster.brokers) broker.dial(standby.peerAddress);
    const { leader } = await replicated(client);
    await cluster.stopCoordinator(coordinator);
    leader.stop();
    const taken = cluster.client(standby);
    await eventually(async () => {
      // Until the lease is over it passes calls on to the one that is gone.
      const topic = await taken.get('orders').catch(() => undefined);
      return topic?.partitions[0]?.leaderEpoch === 2 && leaderOf(topic) > 0;
    }, 12_000);
  });

  it('leave leaders alone that the followers of a restarted one still hear', async () => {
    const { client, coordinator } = await started([1, 2, 3]);
    const { leader, followers } = await replicated(client);
    await eventually(async () => (await coordinator.store.readAll())?.topics[0]?.state === 'active');
    await cluster.stopCoordinator(coordinator);
    const next = await cluster.startCoordinator();
    for (const follower of followers) follower.dial(next.peerAddress);
    await eventually(async () => (await cluster.client().describe()).brokers.some(({ broker }) => broker?.state === 1));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await cluster.client().get('orders')).partitions[0]).toMatchObject({
      leaderEpoch: 1,
      leaderId: leader.disk.brokerId,
    });
  });

  it('tell brokers where their peers listen, whole, and again when one has moved', async () => {
    const { client } = await started([1, 2]);
    const peersOf = (index: number) =>
      cluster.brokers[index]!.directory.flatMap(({ peers }) => (peers.length > 0 ? [peers] : []));
    await eventually(() => peersOf(0).at(-1)?.length === 2);
    const before = peersOf(0)
      .at(-1)!
      .find(({ brokerId }) => brokerId === 2);
    cluster.brokers[1]!.stop();
    await eventually(async () => (await client.describe()).brokers.some(({ broker }) => broker?.state === 3));
    await cluster.startBroker(cluster.brokers[1]!.disk);
    await eventually(() => {
      const now = peersOf(0)
        .at(-1)!
        .find(({ brokerId }) => brokerId === 2);
      return now !== undefined && now.peerAddress !== before?.peerAddress;
    });
  });
});
