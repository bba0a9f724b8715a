/** What operators order, and what they are shown: over real calls. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PartitionState } from '@partita/protocol';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';

let cluster: SpecCluster;
let client: ReturnType<SpecCluster['client']>;
let key: string;
let leaderId: number;

beforeEach(async () => {
  cluster = new SpecCluster();
  const coordinator = await cluster.startCoordinator('--expected-brokers', '3');
  for (const id of [1, 2, 3]) await cluster.startBroker(id);
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
  client = cluster.client();
  const topic = await client.create({ name: 'orders', partitionCount: 1 });
  key = `${topic.topicId}/0`;
  leaderId = topic.partitions[0]!.leaderId;
  await eventually(() => cluster.brokers.every(({ disk }) => disk.replicas.get(key)?.logEnd === 1n));
});

afterEach(() => cluster.stop());

const followers = () => cluster.brokers.filter(({ disk }) => disk.brokerId !== leaderId);
const partition = async () => (await client.get('orders')).partitions[0]!;
const isDown = async (brokerId: number) =>
  (await client.describe()).brokers.some(({ broker }) => broker?.brokerId === brokerId && broker.state === 3);

async function reason(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => (error as { reason: string }).reason,
  );
}

describe('electing a leader by wish', () => {
  it('moves it among equal logs, and back to the preferred one', async () => {
    const wanted = followers()[1]!.disk.brokerId;
    cluster.broker(leaderId)!.reportInSync(key, [1, 2, 3], 1);
    await eventually(async () => (await partition()).inSyncIds.length === 3);
    const moved = await client.elect('orders', 0, wanted);
    expect(moved).toMatchObject({ leaderId: wanted, leaderEpoch: 2, errorReason: '' });
    expect(await client.elect('orders', 0, wanted)).toMatchObject({ leaderEpoch: 2, errorReason: '' });
    cluster.broker(wanted)!.reportInSync(key, [1, 2, 3], 1);
    await eventually(async () => (await partition()).inSyncIds.length === 3);
    await eventually(() => cluster.brokers.every(({ disk }) => disk.replicas.get(key)?.logEnd === 2n));
    expect(await client.electAll()).toMatchObject([{ leaderId, leaderEpoch: 3, errorReason: '' }]);
    expect(await client.electAll()).toEqual([]);
  });

  it('deposes nobody for a replica that is not in sync or not there, and says why', async () => {
    const wanted = followers()[0]!.disk.brokerId;
    expect(await client.elect('orders', 0, wanted)).toMatchObject({ leaderId, errorReason: 'LEADER_NOT_AVAILABLE' });
    expect(await client.elect('orders', 0, 9)).toMatchObject({ errorReason: 'REPLICA_NOT_FOUND' });
    expect(await client.elect('orders', 1)).toMatchObject({ errorReason: 'PARTITION_NOT_FOUND' });
    expect(await client.elect('none', 0)).toMatchObject({ errorReason: 'TOPIC_NOT_FOUND' });
    expect((await partition()).leaderEpoch).toBe(1);
  });
});

describe('electing with possible loss', () => {
  it('forces the leader that is named, shows the partition lossy until the next one, and notes who and why', async () => {
    const [last, other] = followers();
    cluster.broker(leaderId)!.stop();
    other!.stop();
    await eventually(async () => (await client.describe()).offlineCount === 1);
    last!.disk.replicas.get(key)!.suspect = true;
    const { brokerId } = last!.disk;
    expect(await reason(client.force('orders', brokerId, false))).toBe('DATA_LOSS_NOT_ACCEPTED');
    expect(await reason(client.force('orders', brokerId, true, ' '))).toBe('INVALID_REQUEST');
    expect(await reason(client.force('orders', 9))).toBe('REPLICA_NOT_FOUND');
    expect(await reason(client.force('orders', other!.disk.brokerId))).toBe('LEADER_NOT_AVAILABLE');
    const forced = await client.force('orders', brokerId);
    expect(forced).toMatchObject({ leaderId: brokerId, errorReason: '' });
    expect(await partition()).toMatchObject({ state: PartitionState.PARTITION_STATE_LOSSY, leaderId: brokerId });
    const { store } = cluster.coordinators[0]!;
    await eventually(async () => (await store.readAll())?.partitions[0]?.entry.status === 'lossy');
    await eventually(async () => (await client.audit()).some(({ operation }) => operation === 'leader_force'));
    const entries = await client.audit();
    const forcing = entries.find(
      ({ operation, detailsJson }) => operation === 'leader_force' && detailsJson.includes('"lossy":true'),
    );
    expect(JSON.parse(forcing!.detailsJson)).toMatchObject({ broker: brokerId, justification: 'a test' });
    expect(entries.map(({ operation }) => operation)).toContain('topic_create');

    last!.resign();
    await cluster.startBroker(other!.disk);
    await cluster.startBroker(cluster.brokers.find(({ disk }) => disk.brokerId === leaderId)!.disk);
    await eventually(async () => (await partition()).state === PartitionState.PARTITION_STATE_ONLINE);
  });

  it('recovers the best log once every replica answers, though all are suspect', async () => {
    const disks = cluster.brokers.map(({ disk }) => disk);
    for (const broker of cluster.brokers) broker.stop();
    await eventually(async () => (await client.describe()).offlineCount === 1);
    for (const disk of disks) disk.replicas.get(key)!.suspect = true;
    disks[2]!.replicas.get(key)!.logEnd += 3n;
    for (const disk of disks.slice(1)) await cluster.startBroker(disk);
    await eventually(async () => !(await isDown(3)));
    expect(await reason(client.recover('orders'))).toBe('LEADER_NOT_AVAILABLE');
    await cluster.startBroker(disks[0]!);
    await eventually(async () => !(await isDown(1)));
    expect((await client.describe()).offlineCount).toBe(1);
    expect(await client.recover('orders')).toMatchObject({ leaderId: 3 });
    expect((await partition()).state).toBe(PartitionState.PARTITION_STATE_LOSSY);
  });
});

describe('the description of the cluster', () => {
  it('shows how far each replica is behind, also one whose broker is gone', async () => {
    const [gone, slow] = followers();
    gone!.stop();
    await eventually(() => isDown(gone!.disk.brokerId));
    slow!.silence();
    const leader = cluster.broker(leaderId)!;
    leader.disk.replicas.get(key)!.logEnd += 7n;
    const lags = async () => (await client.describe()).partitions[0]!.replicaLags;
    await eventually(async () => (await lags()).filter(({ lagRecords }) => lagRecords === 7n).length === 2);
    const of = async (brokerId: number) => (await lags()).find((lag) => lag.brokerId === brokerId)!;
    expect(await of(leaderId)).toMatchObject({ lagRecords: 0n, logEndOffset: 8n, lagAge: { seconds: 0n, nanos: 0 } });
    expect(await of(gone!.disk.brokerId)).toMatchObject({ lagRecords: 7n, logEndOffset: 1n });
    const before = (await of(gone!.disk.brokerId)).lagAge!;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await of(gone!.disk.brokerId)).lagAge!.seconds).toBeGreaterThan(before.seconds);
    expect((await client.describe()).underReplicatedCount).toBe(1);
  });

  it('notes who changed topics, and which leaders were elected since', async () => {
    const settings = { retentionBytes: 1n << 30n, allowedCodecs: [] };
    await client.update({ name: 'orders', settings }, ['settings.retention_bytes']);
    cluster.broker(leaderId)!.stop();
    await eventually(async () => (await partition()).leaderEpoch === 2);
    await eventually(async () => (await client.audit()).length >= 3);
    const entries = await client.audit();
    expect(entries.map(({ operation, resource }) => [operation, resource])).toEqual([
      ['leader_elected', 'orders/0'],
      ['topic_update', 'orders'],
      ['topic_create', 'orders'],
    ]);
  });
});
