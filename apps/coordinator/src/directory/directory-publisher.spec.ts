import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FlushMode, TimestampType } from '@partita/protocol';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';

let cluster: SpecCluster;

beforeEach(() => {
  cluster = new SpecCluster();
});

afterEach(() => cluster.stop());

describe('changed settings of a topic', () => {
  it('are told to those who watch, and stay in the directory for the coordinator that comes next', async () => {
    const coordinator = await cluster.startCoordinator('--expected-brokers', '1');
    await cluster.startBroker(1);
    const client = cluster.client();
    await eventually(async () => (await coordinator.store.readAll()) !== undefined);
    await client.create({ name: 'orders', partitionCount: 1 });
    expect((await client.routes())[0]?.timestampType).toBe(TimestampType.TIMESTAMP_TYPE_CREATE);

    const settings = {
      timestampType: TimestampType.TIMESTAMP_TYPE_APPEND,
      flush: FlushMode.FLUSH_MODE_OS,
      allowedCodecs: [],
    };
    await client.update({ name: 'orders', settings }, ['settings.timestamp_type', 'settings.flush']);
    expect((await client.routes())[0]).toMatchObject({ version: 2n, timestampType: settings.timestampType });
    await eventually(async () => (await coordinator.store.readAll())?.topics[0]?.version === 2);
    const stored = (await coordinator.store.readAll())?.topics[0];
    expect(stored).toMatchObject({ name: 'orders', flush: 'os', state: 'active' });

    await cluster.stopCoordinator(coordinator);
    await cluster.startCoordinator();
    expect(await cluster.client().get('orders')).toMatchObject({ version: 2n, settings });
  });
});

describe('a directory that was written anew', () => {
  it('needs no topic written one by one: what changes next is there at once', async () => {
    const coordinator = await cluster.startCoordinator('--expected-brokers', '1');
    await cluster.startBroker(1);
    const client = cluster.client();
    await eventually(async () => (await coordinator.store.readAll()) !== undefined);
    for (let number = 0; number < 8; number += 1) await client.create({ name: `kept-${number}`, partitionCount: 1 });
    await eventually(async () => (await coordinator.store.readAll())?.partitions.length === 8);
    const generation = (await coordinator.store.readAll())?.meta.generation;
    const written = vi.spyOn(coordinator.store, 'createTopic');
    cluster.directory.wipe();
    await eventually(async () => {
      const stored = await coordinator.store.readAll();
      return stored !== undefined && stored.meta.generation !== generation;
    });
    await client.create({ name: 'next', partitionCount: 1 });
    await eventually(async () => (await coordinator.store.readAll())?.partitions.length === 9);
    expect(new Set(written.mock.calls.map(([, { name }]) => name))).toEqual(new Set(['next']));
  });
});
