/** Quotas over real sessions and calls: what is taken, how lists go, who hears of them, and what they survive. */
import { randomUUID } from 'node:crypto';
import { PEER_PROTOCOL_VERSION } from '@partita/domain';
import { MemoryDirectory } from '@partita/metadata-store';
import { ClusterServiceService, InstanceSessionServiceService, Quota, ServiceKind } from '@partita/protocol';
import type { InstanceQuotas, InstanceSessionRequest, InstanceSessionResponse } from '@partita/protocol';
import { callUnary, openBidi } from '@partita/rpc/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, SpecCluster } from './testing/spec-cluster.ts';

let cluster: SpecCluster;
const closing: (() => void)[] = [];

beforeEach(async () => {
  cluster = new SpecCluster();
  const coordinator = await cluster.startCoordinator('--expected-brokers', '1');
  await cluster.startBroker(1);
  await eventually(async () => (await coordinator.store.readAll()) !== undefined);
});

afterEach(async () => {
  for (const close of closing.splice(0)) close();
  await cluster.stop();
});

function client() {
  const channel = cluster.pool.client(cluster.coordinators[0]!.address);
  return {
    set: async (quota: Partial<Quota>, validateOnly = false) => {
      const request = { quota: Quota.fromPartial(quota), validateOnly };
      return (await callUnary(channel, ClusterServiceService.updateQuota, request)).quota!;
    },
    page: (pageSize = 0, pageToken = '') =>
      callUnary(channel, ClusterServiceService.listQuotas, { pageSize, pageToken }),
    list: async () =>
      (await callUnary(channel, ClusterServiceService.listQuotas, { pageSize: 0, pageToken: '' })).quotas,
  };
}

/** What a gateway hears of quotas, the newest last. */
function gateway(): InstanceQuotas[] {
  const heard: InstanceQuotas[] = [];
  const stream = openBidi<InstanceSessionRequest, InstanceSessionResponse>(
    cluster.pool.client(cluster.coordinators[0]!.peerAddress),
    InstanceSessionServiceService.instanceSession,
    {
      onMessage: ({ message }) => {
        if (message?.$case === 'quotas') heard.push(message.quotas);
      },
    },
  );
  const about = { clusterId: '', protocolVersion: PEER_PROTOCOL_VERSION, version: '0.1.0', peerAddress: '' };
  const register = {
    ...about,
    service: ServiceKind.SERVICE_KIND_GATEWAY,
    instanceId: randomUUID(),
    address: '127.0.0.1:1',
  };
  stream.send({ message: { $case: 'register', register } });
  closing.push(() => stream.cancel());
  return heard;
}

const TOPIC = Quota.fromPartial({ topic: 'orders', produceBytesPerSecond: 2048n });
const CLIENT = Quota.fromPartial({ clientId: 'loader', consumeBytesPerSecond: 4096n });
const BOTH = Quota.fromPartial({ clientId: 'loader', topic: 'orders', produceBytesPerSecond: 1024n });
const EACH = Quota.fromPartial({ produceBytesPerSecond: 1_000_000n, consumeBytesPerSecond: 1_000_000n });

describe('quotas', () => {
  it('are set, replaced whole, and removed without a rate; the same again changes nothing', async () => {
    const { set, list } = client();
    for (const quota of [BOTH, EACH, CLIENT, TOPIC]) expect(await set(quota)).toEqual(quota);
    expect(await list()).toEqual([EACH, CLIENT, TOPIC, BOTH]);
    const { version } = cluster.brokers[0]!.disk.settings!;
    await set(TOPIC);
    await set({ topic: 'never-had-one' });
    const changed = { ...TOPIC, produceBytesPerSecond: undefined, consumeBytesPerSecond: 8192n };
    await set(changed);
    await set({ clientId: 'loader' });
    expect(await list()).toEqual([EACH, changed, BOTH]);
    await eventually(() => cluster.brokers[0]!.disk.settings!.quotas.length === 3);
    expect(cluster.brokers[0]!.disk.settings!.version).toBe(version + 2n);
  });

  it('are checked, also when nothing is to change', async () => {
    const { set, list } = client();
    const refusals: readonly (readonly [Partial<Quota>, string])[] = [
      [{ topic: 'orders', produceBytesPerSecond: 1023n }, 'INVALID_SETTING'],
      [{ topic: 'orders', consumeBytesPerSecond: -1n }, 'INVALID_SETTING'],
      [{ topic: 'orders', produceBytesPerSecond: 2n ** 60n }, 'INVALID_SETTING'],
      [{ topic: 'no topic', produceBytesPerSecond: 2048n }, 'INVALID_TOPIC_NAME'],
      [{ topic: '__groups', produceBytesPerSecond: 2048n }, 'INVALID_SETTING'],
      [{ clientId: 'x'.repeat(256), produceBytesPerSecond: 2048n }, 'INVALID_SETTING'],
      [{ clientId: 'line\nfeed', produceBytesPerSecond: 2048n }, 'INVALID_SETTING'],
      [{ clientId: 'partita-producer-gateway', produceBytesPerSecond: 2048n }, 'INVALID_SETTING'],
    ];
    for (const [quota, reason] of refusals)
      for (const validateOnly of [false, true])
        await expect(set(quota, validateOnly)).rejects.toMatchObject({ reason });
    expect(await set(TOPIC, true)).toEqual(TOPIC);
    expect(await list()).toEqual([]);
  });

  it('are listed in pages that changes do not shift', async () => {
    const { set, page } = client();
    for (const topic of ['a', 'b', 'c', 'd']) await set({ ...TOPIC, topic });
    const first = await page(2);
    expect(first.quotas.map(({ topic }) => topic)).toEqual(['a', 'b']);
    await set({ topic: 'b' });
    await set({ ...TOPIC, topic: 'aa' });
    const second = await page(2, first.nextPageToken);
    expect(second).toMatchObject({ quotas: [{ topic: 'c' }, { topic: 'd' }], nextPageToken: '' });
    await expect(page(2, 'nonsense')).rejects.toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
    await expect(page(-1)).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
  });

  it('are told to gateways at the start of a session and when they change', async () => {
    const { set } = client();
    await set(TOPIC);
    const heard = gateway();
    await eventually(() => heard.length === 1);
    await set(CLIENT);
    await eventually(() => heard.length === 2);
    expect(heard.map(({ quotas }) => quotas)).toEqual([[TOPIC], [CLIENT, TOPIC]]);
    expect(heard[1]!.version).toBeGreaterThan(heard[0]!.version);
  });

  it('are in the audit trail', async () => {
    const { set } = client();
    await set(BOTH);
    await set(BOTH);
    const ofQuotas = async () =>
      (await cluster.client().audit()).filter(({ operation }) => operation === 'quota_update');
    await eventually(async () => (await ofQuotas()).length > 0);
    expect(await ofQuotas()).toMatchObject([
      { resource: 'topic orders, client loader', detailsJson: '{"produceBytesPerSecond":1024}' },
    ]);
  });

  it('survive an emptied directory, and one that is gone with all coordinators', async () => {
    const { set } = client();
    const all = [EACH, CLIENT, TOPIC, BOTH];
    for (const quota of all) await set(quota);
    await eventually(() => cluster.brokers[0]!.disk.settings?.quotas.length === 4);
    cluster.directory.wipe();
    const { store } = cluster.coordinators[0]!;
    await eventually(async () => (await store.readAll())?.settings?.version === 4);
    await cluster.stopCoordinator(cluster.coordinators[0]!);
    cluster.directory = new MemoryDirectory();
    const again = await cluster.startCoordinator('--expected-brokers', '1');
    for (const broker of cluster.brokers) broker.dial(again.peerAddress);
    await eventually(async () => (await again.store.readAll())?.settings?.version === 4);
    expect(await client().list()).toEqual(all);
    // And from the directory alone.
    const other = await cluster.startCoordinator('--expected-brokers', '1');
    await cluster.stopCoordinator(again);
    await eventually(
      async () =>
        (
          await client()
            .list()
            .catch(() => [])
        ).length === 4,
    );
    expect(other.address).toBe(cluster.coordinators[0]!.address);
    expect(await client().list()).toEqual(all);
  });
});
