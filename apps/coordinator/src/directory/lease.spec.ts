import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PartitaError } from '@partita/domain';
import { createMemoryMetadataStore } from '@partita/metadata-store';
import { createLogger, StateLines, systemClock, systemRandom, systemTimers } from '@partita/runtime';
import { ClusterModel } from '../cluster-model.ts';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';
import { Lease } from './lease.ts';

let cluster: SpecCluster;

beforeEach(() => {
  cluster = new SpecCluster();
});

afterEach(() => cluster.stop());

/** Somebody holds the lease under this address, for longer than this test lasts. */
async function leaseHeldUnder(url: string): Promise<void> {
  const { clusterId, directory } = cluster;
  const store = createMemoryMetadataStore({ clusterId, clock: systemClock, directory });
  await store.connect();
  expect(await store.leaseAcquire({ run: 'killed', url, ttlMs: 60_000 })).toHaveProperty('token');
}

describe('a coordinator that starts', () => {
  it('takes over at once from one that was killed at its address', async () => {
    await leaseHeldUnder('127.0.0.1:7201');
    const { store } = await cluster.startCoordinator('--advertise', '127.0.0.1:7201', '--expected-brokers', '0');
    expect(await store.leaseHolder()).toMatchObject({ url: '127.0.0.1:7201', number: 2 });
  });

  it('waits for the end of a lease that is held under another address', async () => {
    await leaseHeldUnder('127.0.0.1:1');
    const { store } = await cluster.startCoordinator('--expected-brokers', '0');
    expect(await store.leaseHolder()).toMatchObject({ run: 'killed', url: '127.0.0.1:1' });
  });
});

describe('a lease', () => {
  it('decides nothing from the moment at which a write was refused for another holder until the store was asked', async () => {
    const { clusterId, directory } = cluster;
    const logger = createLogger({ service: 'coordinator', instance: 'spec', output: { write: () => undefined } });
    const lease = new Lease({
      store: createMemoryMetadataStore({ clusterId, clock: systemClock, directory }),
      model: new ClusterModel(),
      clock: systemClock,
      random: systemRandom,
      logger,
      lines: new StateLines(logger, systemTimers),
      runId: randomUUID(),
      url: () => '127.0.0.1:1',
      expectedBrokers: 0,
      rebuildIncomplete: false,
      checkMs: Infinity,
      onWrongCluster: (error) => expect.unreachable(error.message),
    });
    await lease.start();
    await eventually(() => lease.anchoredToken() !== undefined);
    lease.storeFailed(new PartitaError('NOT_ACTIVE_COORDINATOR', 'another holds the lease'));
    expect(lease.status()).toBe('active');
    expect(lease.anchoredToken()).toBeUndefined();
    expect(() => lease.requireWritable()).toThrow('no coordinator is active at the moment');
    // It was a write of before: the lease is still this one's, and the next look at the store says so.
    await eventually(() => lease.anchoredToken() !== undefined);
    await lease.stop();
  });
});
