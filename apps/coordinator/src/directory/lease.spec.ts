import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMemoryMetadataStore } from '@partita/metadata-store';
import { systemClock } from '@partita/runtime';
import { SpecCluster } from '../testing/spec-cluster.ts';

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
