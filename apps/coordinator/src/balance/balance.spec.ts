/** Balance over real sessions and calls: a broker joins, is emptied, goes; and the settings that say so survive everything. */
import { MemoryDirectory } from '@partita/metadata-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';

const PARTITION_COUNT = 8;
/** What is waited for includes BALANCE_CALM_MS. */
const SETTLED_MS = 40_000;
let cluster: SpecCluster;
let client: ReturnType<SpecCluster['client']>;

beforeEach(async () => {
  cluster = new SpecCluster();
  const coordinator = await cluster.startCoordinator('--expected-brokers', '3');
  for (const id of [1, 2, 3]) await started(id);
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
  client = cluster.client();
  await client.create({ name: 'orders', partitionCount: PARTITION_COUNT, replicationFactor: 3 });
});

afterEach(() => cluster.stop());

async function started(id: number): Promise<void> {
  (await cluster.startBroker(id)).tellsInSync = true;
}

async function counts(what: 'replicaCount' | 'leaderCount'): Promise<Record<number, number>> {
  const { brokers } = await client.describe();
  return Object.fromEntries(brokers.map((broker) => [broker.broker!.brokerId, broker[what]]));
}

describe('a cluster that balances itself', () => {
  it('gives a broker that joins its share, keeps it that way, and empties it when asked', async () => {
    await started(4);
    const even = { 1: 6, 2: 6, 3: 6, 4: 6 };
    await eventually(async () => JSON.stringify(await counts('replicaCount')) === JSON.stringify(even), SETTLED_MS);
    const leaders = { 1: 2, 2: 2, 3: 2, 4: 2 };
    await eventually(async () => JSON.stringify(await counts('leaderCount')) === JSON.stringify(leaders), SETTLED_MS);
    expect((await client.rebalance(true)).moves).toEqual([]);

    const asked = await client.drain(4, { validateOnly: true });
    expect(asked.reassignment?.moves).toHaveLength(6);
    expect(asked.leaderMoveCount).toBe(2);
    expect((await client.settings())['draining_broker_ids']).toBe('');
    await client.drain(4);
    expect((await client.settings())['draining_broker_ids']).toBe('4');
    await eventually(async () => (await counts('replicaCount'))[4] === 0, SETTLED_MS);
    await client.create({ name: 'later', partitionCount: 4, replicationFactor: 3 });
    expect((await counts('replicaCount'))[4]).toBe(0);

    await expect(client.remove(4)).rejects.toMatchObject({ reason: 'BROKER_NOT_EMPTY' });
    cluster.broker(4)!.stop();
    await eventually(async () => (await client.remove(4).catch(() => undefined)) !== undefined);
    expect(Object.keys(await counts('replicaCount'))).toEqual(['1', '2', '3']);
    expect((await client.settings())['draining_broker_ids']).toBe('');
    const stored = await cluster.coordinators[0]!.store.readAll();
    expect(stored?.brokers.map(({ brokerId }) => brokerId).sort()).toEqual([1, 2, 3]);
    await started(4);
    await eventually(async () => (await client.describe()).brokers.length === 4);
    const audited = (await client.audit()).map(({ operation }) => operation);
    expect(audited).toEqual(expect.arrayContaining(['broker_drain', 'broker_remove']));
  }, 150_000);

  it('moves nothing once it is told not to, and all at once when asked to', async () => {
    await client.settings({ autoBalance: false });
    await started(4);
    await eventually(async () => (await counts('replicaCount'))[4] === 0);
    const before = await counts('replicaCount');
    await new Promise((resolve) => setTimeout(resolve, 7000));
    expect(await counts('replicaCount')).toEqual(before);
    const findings = (await client.diagnose()).map(({ code }) => code);
    expect(findings).toContain('replicas-uneven');
    const { reassignmentId, moves } = await client.rebalance();
    expect(reassignmentId).not.toBe('');
    expect(moves.length).toBeGreaterThanOrEqual(6);
    await eventually(async () => (await counts('replicaCount'))[4] === 6, SETTLED_MS);
  }, 90_000);
});

it('refuses to empty a broker whose replicas have nowhere to go, and one that is not there', async () => {
  await expect(client.drain(3)).rejects.toMatchObject({ reason: 'NOT_ENOUGH_BROKERS' });
  await expect(client.drain(9)).rejects.toMatchObject({ reason: 'BROKER_NOT_FOUND' });
  await expect(client.remove(9)).rejects.toMatchObject({ reason: 'BROKER_NOT_FOUND' });
  expect((await client.settings())['draining_broker_ids']).toBe('');
});

it('takes leaderships from a broker that shall not lead, and leaves it its replicas', async () => {
  await client.drain(2, { replicas: false });
  await eventually(async () => (await counts('leaderCount'))[2] === 0, SETTLED_MS);
  expect((await counts('replicaCount'))[2]).toBe(PARTITION_COUNT);
  await client.drain(2, { cancel: true });
  expect((await client.settings())['leaderless_broker_ids']).toBe('');
}, 60_000);

describe('settings of the cluster', () => {
  it('are checked', async () => {
    await expect(client.settings({ moveBytesPerSecond: 1000n })).rejects.toMatchObject({ reason: 'INVALID_SETTING' });
    const topicDefaults = { recordBytesMax: 1000 } as never;
    await expect(client.settings({ topicDefaults })).rejects.toMatchObject({ reason: 'INVALID_SETTING' });
    expect(await client.settings()).toMatchObject({ auto_balance: 'on', move_bytes_per_second: String(32 * 2 ** 20) });
  });

  it('survive an emptied directory, and one that is gone with all coordinators', async () => {
    const set = { auto_balance: 'off', move_bytes_per_second: String(64 * 2 ** 20) };
    await client.settings({ autoBalance: false, moveBytesPerSecond: BigInt(64 * 2 ** 20) });
    await eventually(() => cluster.brokers.every(({ disk }) => disk.settings?.autoBalance === false));
    cluster.directory.wipe();
    const store = cluster.coordinators[0]!.store;
    await eventually(async () => (await store.readAll())?.settings?.version === 1);
    await cluster.stopCoordinator(cluster.coordinators[0]!);
    cluster.directory = new MemoryDirectory();
    const again = await cluster.startCoordinator('--expected-brokers', '3');
    for (const broker of cluster.brokers) broker.dial(again.peerAddress);
    client = cluster.client();
    await eventually(async () => (await again.store.readAll())?.settings?.version === 1);
    expect(await client.settings()).toMatchObject(set);
  });
});
