/** Replica sets that change, over real sessions and calls: moved, grown, shrunk, repaired, by one coordinator after another. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryDirectory } from '@partita/metadata-store';
import { ReassignmentState } from '@partita/protocol';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';
import { newDisk } from '../testing/spec-disk.ts';

let cluster: SpecCluster;

beforeEach(() => {
  cluster = new SpecCluster();
});

afterEach(() => cluster.stop());

type Client = ReturnType<SpecCluster['client']>;

async function started(brokerCount: number) {
  const coordinator = await cluster.startCoordinator('--expected-brokers', String(brokerCount));
  for (let id = 1; id <= brokerCount; id += 1) await cluster.startBroker(id);
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
  return { coordinator, client: cluster.client() };
}

async function membersOf(client: Client, topic = 'orders', partition = 0): Promise<number[]> {
  const { partitions } = await client.get(topic);
  return partitions[partition]!.replicas.map(({ brokerId }) => brokerId);
}

/** Brokers that have a replica of any partition on disk. */
function holders(topicId: string): number[] {
  const ofTopic = (key: string) => key.startsWith(topicId);
  const having = cluster.brokers.filter(({ stopped, disk }) => !stopped && [...disk.replicas.keys()].some(ofTopic));
  return having.map(({ disk }) => disk.brokerId).sort();
}

async function succeeded(client: Client, reassignmentId: string): Promise<void> {
  const done = ReassignmentState.REASSIGNMENT_STATE_SUCCEEDED;
  await eventually(async () => (await client.reassignment(reassignmentId)).state === done, 15_000);
}

/** A topic of one partition on the brokers given, in any order, and one broker that has none of it. */
async function placed(client: Client, replicationFactor = 3) {
  const topic = await client.create({ name: 'orders', partitionCount: 1, replicationFactor });
  const members = await membersOf(client);
  const free = cluster.brokers.map(({ disk }) => disk.brokerId).filter((id) => !members.includes(id));
  return { topic, key: `${topic.topicId}/0`, members, free };
}

describe('a move of a replica', () => {
  it('takes it away and back, tells clients and the directory, and is remembered', async () => {
    const { client, coordinator } = await started(4);
    const { topic, key, members, free } = await placed(client);
    const [leader, from] = members as [number, number, number];
    const to = free[0]!;
    const first = await client.move([['orders', 0, from, to]], { requestId: 'r-1' });
    expect(await client.move([['orders', 0, from, to]], { requestId: 'r-1' })).toMatchObject({
      reassignmentId: first.reassignmentId,
    });
    await succeeded(client, first.reassignmentId);
    expect(await membersOf(client)).toEqual(members.map((id) => (id === from ? to : id)));
    expect(holders(topic.topicId)).toEqual(members.map((id) => (id === from ? to : id)).sort());
    const kept = cluster.broker(from)!.disk.floors.get(key)!;
    expect(kept.configVersion).toBe(4);
    const back = await client.move([['orders', 0, to, from]]);
    await succeeded(client, back.reassignmentId);
    expect(await membersOf(client)).toEqual(members);
    const ids = cluster.broker(leader)!.proposed.flatMap(({ learners }) => learners.map(({ replicaId }) => replicaId));
    expect(new Set(ids).size).toBe(2);
    await eventually(async () => {
      const stored = (await coordinator.store.readAll())?.partitions[0]?.entry;
      return stored?.configVersion === 7 && stored.config?.learners.length === 0;
    });
    expect((await client.routes())[0]?.partitions[0]?.leaderId).toBe(leader);
    const { reassignments } = await client.reassignments();
    expect(reassignments.map(({ reassignmentId }) => reassignmentId)).toEqual([
      back.reassignmentId,
      first.reassignmentId,
    ]);
    const [newest] = reassignments;
    expect(newest).toMatchObject({ moves: [{ fromBrokerId: to, toBrokerId: from, errorReason: '' }] });
    expect(newest!.copiedBytes).toBe(newest!.totalBytes);
    const operations = (await client.audit()).map(({ operation }) => operation);
    expect(operations.filter((name) => name.startsWith('reassignment'))).toEqual([
      'reassignment_end',
      'reassignment_begin',
      'reassignment_end',
      'reassignment_begin',
    ]);
  });

  it('of the leader has another lead first, and the new one take its place of preference', async () => {
    const { client } = await started(4);
    const { key, members, free } = await placed(client);
    const { reassignmentId } = await client.move([['orders', 0, members[0]!, free[0]!]]);
    await eventually(async () => (await membersOf(client)).length === 4);
    cluster.broker(members[0]!)!.reportInSync(key, [1, 2, 3, 4], 1);
    await succeeded(client, reassignmentId);
    expect(await membersOf(client)).toEqual([free[0], ...members.slice(1)]);
    await eventually(async () => (await client.get('orders')).partitions[0]!.leaderId > 0);
    expect((await client.get('orders')).partitions[0]!.leaderId).not.toBe(members[0]);
  });

  it('goes on after answers that were lost', async () => {
    const { client } = await started(4);
    const { members, free } = await placed(client);
    for (const broker of cluster.brokers) broker.unknownProposals = 2;
    const { reassignmentId } = await client.move([['orders', 0, members[2]!, free[0]!]]);
    await succeeded(client, reassignmentId);
    expect(await membersOf(client)).toEqual([members[0], members[1], free[0]]);
  });

  it('is refused when it makes no sense, and then nothing moves', async () => {
    const { client } = await started(4);
    const { members, free } = await placed(client);
    const [a, b] = members as [number, number];
    const to = free[0]!;
    const refusals = [
      [['nothing', 0, a, to], 'TOPIC_NOT_FOUND'],
      [['orders', 7, a, to], 'PARTITION_NOT_FOUND'],
      [['orders', 0, to, to], 'REPLICA_NOT_FOUND'],
      [['orders', 0, a, 9], 'BROKER_NOT_FOUND'],
      [['orders', 0, a, b], 'INVALID_REQUEST'],
      [['orders', 0, 0, 0], 'INVALID_REQUEST'],
      [['orders', 0, 0, to], 'INVALID_REQUEST'],
      [['orders', 0, a, 0], 'INVALID_REQUEST'],
    ] as const;
    for (const [move, reason] of refusals) await expect(client.move([move])).rejects.toMatchObject({ reason });
    await expect(client.move([])).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    await expect(client.reassignment('x')).rejects.toMatchObject({ reason: 'REASSIGNMENT_NOT_FOUND' });
    await expect(client.cancelMove('x')).rejects.toMatchObject({ reason: 'REASSIGNMENT_NOT_FOUND' });
    expect(await client.move([['orders', 0, a, to]], { validateOnly: true })).toMatchObject({ reassignmentId: '' });
    expect((await client.reassignments()).reassignments).toEqual([]);
    cluster.broker(to)!.holdsBack = true;
    await client.move([['orders', 0, a, to]]);
    await expect(client.move([['orders', 0, b, to]])).rejects.toMatchObject({ reason: 'REASSIGNMENT_UNDER_WAY' });
    const factor = client.update({ name: 'orders', replicationFactor: 2 }, ['replication_factor']);
    await expect(factor).rejects.toMatchObject({ reason: 'REASSIGNMENT_UNDER_WAY' });
  });

  it('tells how far it is, and when it is cancelled what was being made is dropped', async () => {
    const { client } = await started(4);
    const { topic, members, free } = await placed(client);
    const target = cluster.broker(free[0]!)!;
    target.holdsBack = true;
    const { reassignmentId } = await client.move([['orders', 0, members[1]!, free[0]!]]);
    await eventually(() => target.disk.replicas.size === 1);
    const running = ReassignmentState.REASSIGNMENT_STATE_RUNNING;
    await eventually(async () => (await client.reassignment(reassignmentId)).totalBytes > 0n);
    expect(await client.reassignment(reassignmentId)).toMatchObject({ state: running, copiedBytes: 0n });
    const cancelled = await client.cancelMove(reassignmentId);
    expect(cancelled.state).toBe(ReassignmentState.REASSIGNMENT_STATE_CANCELLED);
    await eventually(() => target.disk.replicas.size === 0);
    expect(await membersOf(client)).toEqual(members);
    expect(holders(topic.topicId)).toEqual([...members].sort());
  });

  it('copies one partition to a broker at a time, and the others when there is room', async () => {
    const { client } = await started(4);
    await client.create({ name: 'orders', partitionCount: 8 });
    for (const { disk } of cluster.brokers) for (const replica of disk.replicas.values()) replica.logEnd = 30n;
    await eventually(async () => (await client.describe()).partitions.every(({ logBytes }) => logBytes >= 30_000_000n));
    const { partitions } = await client.get('orders');
    const lacking = partitions.filter(({ replicas }) => !replicas.some(({ brokerId }) => brokerId === 4));
    expect(lacking).toHaveLength(2);
    const target = cluster.broker(4)!;
    const before = target.disk.replicas.size;
    target.holdsBack = true;
    const moves = lacking.map(({ partition, replicas }) => ['orders', partition, replicas[1]!.brokerId, 4] as const);
    const { reassignmentId } = await client.move(moves);
    await eventually(() => target.disk.replicas.size === before + 1);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(target.disk.replicas.size).toBe(before + 1);
    target.holdsBack = false;
    await succeeded(client, reassignmentId);
    expect(target.disk.replicas.size).toBe(before + 2);
  });
});

describe('a coordinator that takes over in the middle of a move', () => {
  it('goes on with it', async () => {
    const { client, coordinator } = await started(4);
    const { members, free } = await placed(client);
    const target = cluster.broker(free[0]!)!;
    target.holdsBack = true;
    const { reassignmentId } = await client.move([['orders', 0, members[1]!, free[0]!]]);
    await eventually(() => target.disk.replicas.size === 1);
    await cluster.stopCoordinator(coordinator);
    const next = await cluster.startCoordinator();
    for (const broker of cluster.brokers) broker.dial(next.peerAddress);
    target.holdsBack = false;
    await succeeded(cluster.client(), reassignmentId);
    expect(await membersOf(cluster.client())).toEqual([members[0], free[0], members[2]]);
  });

  it('writes it back when the directory is wiped, and goes on', async () => {
    const { client, coordinator } = await started(4);
    const { members, free } = await placed(client);
    const target = cluster.broker(free[0]!)!;
    target.holdsBack = true;
    const { reassignmentId } = await client.move([['orders', 0, members[1]!, free[0]!]]);
    await eventually(() => target.disk.replicas.size === 1);
    cluster.directory.wipe();
    await eventually(async () => (await coordinator.store.readAll())?.moves[0]?.reassignmentId === reassignmentId);
    target.holdsBack = false;
    await succeeded(client, reassignmentId);
  });

  it('tidies up what nobody knows of any more, when the directory is lost with it', async () => {
    const { client, coordinator } = await started(4);
    const { topic, members, free } = await placed(client);
    const target = cluster.broker(free[0]!)!;
    target.holdsBack = true;
    await client.move([['orders', 0, members[1]!, free[0]!]]);
    await eventually(() => target.disk.replicas.size === 1);
    await cluster.stopCoordinator(coordinator);
    cluster.directory = new MemoryDirectory();
    const next = await cluster.startCoordinator('--expected-brokers', '4');
    for (const broker of cluster.brokers) broker.dial(next.peerAddress);
    await eventually(() => target.disk.replicas.size === 0, 15_000);
    expect((await cluster.client().reassignments()).reassignments).toEqual([]);
    expect(await membersOf(cluster.client())).toEqual(members);
    expect(holders(topic.topicId)).toEqual([...members].sort());
  });
});

describe('the replication factor and min in-sync replicas of a topic', () => {
  it('change while it is used, and the replica sets follow', async () => {
    const { client } = await started(3);
    const { topic } = await placed(client, 1);
    const up = await client.update({ name: 'orders', replicationFactor: 3 }, ['replication_factor']);
    expect(up).toMatchObject({ replicationFactor: 3, version: 2n });
    await eventually(async () => (await membersOf(client)).length === 3, 15_000);
    const leader = () => cluster.brokers.find((broker) => broker.leads(`${topic.topicId}/0`) !== undefined)!;
    await eventually(() => leader().proposed.at(-1)?.minInSyncReplicas === 2);
    await client.update({ name: 'orders', replicationFactor: 2 }, ['replication_factor']);
    await eventually(async () => (await membersOf(client)).length === 2);
    const settings = { minInSyncReplicas: 1, allowedCodecs: [] };
    const lower = await client.update({ name: 'orders', settings }, ['settings.min_in_sync_replicas']);
    expect(lower.effectiveSettings).toContainEqual({ name: 'min_in_sync_replicas', value: '1', source: 3 });
    await eventually(() => leader().proposed.at(-1)?.minInSyncReplicas === 1);
    await eventually(() => holders(topic.topicId).length === 2);
  });

  it('are refused when there are too few brokers, or m is above the factor', async () => {
    const { client } = await started(2);
    await placed(client, 2);
    const tooMany = client.update({ name: 'orders', replicationFactor: 3 }, ['replication_factor']);
    await expect(tooMany).rejects.toMatchObject({ reason: 'NOT_ENOUGH_BROKERS' });
    const settings = { minInSyncReplicas: 2, allowedCodecs: [] };
    const paths = ['settings.min_in_sync_replicas', 'replication_factor'];
    const above = client.update({ name: 'orders', settings, replicationFactor: 1 }, paths);
    await expect(above).rejects.toMatchObject({ reason: 'INVALID_SETTING' });
  });
});

describe('a broker that comes back with an empty directory', () => {
  it('gets new replicas by itself, under new ids', async () => {
    const { client } = await started(3);
    const { key, members } = await placed(client);
    const wiped = cluster.broker(members[2]!)!;
    const before = wiped.disk.replicas.get(key)!.made.replicaId;
    wiped.stop();
    await eventually(async () => (await client.describe()).brokers.some(({ broker }) => broker?.state === 3));
    const back = await cluster.startBroker(newDisk(wiped.disk.brokerId));
    await eventually(async () => (await membersOf(client)).length === 3 && back.disk.replicas.has(key), 15_000);
    expect(back.disk.replicas.get(key)!.made.replicaId).not.toBe(before);
    const description = await client.describe();
    await eventually(async () =>
      (await client.get('orders')).partitions[0]!.replicas.some(
        ({ directoryId }) => directoryId === back.disk.directoryId,
      ),
    );
    expect(description.offlineCount).toBe(0);
  });
});
