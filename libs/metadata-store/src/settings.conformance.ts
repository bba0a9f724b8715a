/** What every metadata store must do with the cluster's settings, and with brokers that are removed. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LeaseToken, MetadataStore } from './metadata-store.ts';
import { brokerEntry, EMPTY } from './samples.conformance.ts';
import type { StoreHarness } from './store.conformance.ts';

const CLUSTER_ID = '0c9e3f5a-0000-4000-8000-000000000001';

export function settingsConformance(harness: () => StoreHarness): void {
  let store: MetadataStore;
  let token: LeaseToken;
  let generation: string | undefined;

  async function build(content = EMPTY): Promise<void> {
    const newGeneration = randomUUID();
    await store.rebuild(token, { expectedGeneration: generation, newGeneration, content });
    generation = newGeneration;
  }

  beforeEach(async () => {
    await harness().wipe();
    generation = undefined;
    store = harness().open(CLUSTER_ID);
    await store.connect();
    const attempt = await store.leaseAcquire({ run: randomUUID(), url: 'http://a', ttlMs: 60_000 });
    if ('heldBy' in attempt) throw new Error('the lease is held');
    token = attempt.token;
  });
  afterEach(() => store.close());

  describe('the settings of the cluster', () => {
    it('are none until they are written, then the newest', async () => {
      await build();
      expect((await store.readAll())?.settings).toBeUndefined();
      const first = { version: 1, settings: '{"a":1}' };
      expect(await store.putSettings(token, first)).toMatchObject({ status: 'written' });
      expect(await store.putSettings(token, first)).toMatchObject({ status: 'unchanged' });
      expect(await store.putSettings(token, { version: 10, settings: '{"a":10}' })).toMatchObject({
        status: 'written',
      });
      expect(await store.putSettings(token, { version: 9, settings: '{"a":9}' })).toMatchObject({
        status: 'unchanged',
      });
      expect((await store.readAll())?.settings).toEqual({ version: 10, settings: '{"a":10}' });
    });

    it('come back with a rebuild, also when those in the store were newer', async () => {
      await build();
      await store.putSettings(token, { version: 7, settings: '{}' });
      const settings = { version: 5, settings: '{"b":true}' };
      await build({ ...EMPTY, settings });
      expect((await store.readAll())?.settings).toEqual(settings);
    });
  });

  it('forgets a removed broker, once', async () => {
    await build({ ...EMPTY, brokers: [brokerEntry(1), brokerEntry(2)] });
    expect(await store.removeBroker(token, 2)).toMatchObject({ status: 'written' });
    expect(await store.removeBroker(token, 2)).toMatchObject({ status: 'unchanged' });
    expect((await store.readAll())?.brokers).toEqual([brokerEntry(1)]);
  });
}
