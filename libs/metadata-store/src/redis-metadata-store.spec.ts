/** Against a real redis-server (testing/own-redis.ts); without one these tests are skipped. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { metadataKeys } from './keys.ts';
import type { LeaseToken, MetadataStore } from './metadata-store.ts';
import { createRedisMetadataStore } from './redis-metadata-store.ts';
import { EMPTY, brokerEntry, partitionEntry, refusal, topicEntry } from './samples.conformance.ts';
import { storeConformance } from './store.conformance.ts';
import type { StoreHarness } from './store.conformance.ts';
import { auditConformance } from './audit.conformance.ts';
import { settingsConformance } from './settings.conformance.ts';
import { CLUSTER_ID, hasRedis, OwnRedis } from './testing/own-redis.ts';

const keys = metadataKeys('test');

if (!hasRedis) it.skip('the metadata store in Redis is not tested: set PARTITA_TEST_REDIS_SERVER to a redis-server');

describe.runIf(hasRedis)('the metadata store in Redis', () => {
  let redis: OwnRedis;
  let raw: OwnRedis['raw'];
  const open = (clusterId?: string): MetadataStore => redis.open(clusterId);

  beforeAll(async () => {
    redis = await OwnRedis.start();
    raw = redis.raw;
    await raw.config('SET', 'appendfsync', 'always');
  });
  afterAll(() => redis.dispose());

  const harness = (): StoreHarness => ({
    open,
    wipe: async () => {
      await raw.flushall();
    },
    backUp: async () => {
      const names = await raw.keys('*');
      const dumps = await Promise.all(names.map(async (name) => [name, await raw.dumpBuffer(name)] as const));
      return async () => {
        await raw.flushall();
        for (const [name, dump] of dumps) await raw.restore(name, name === keys.lease ? 60_000 : 0, dump);
      };
    },
  });
  storeConformance(harness);
  describe('with settings of the cluster', () => settingsConformance(harness));
  describe('with an empty directory', () => {
    beforeEach(async () => {
      await raw.flushall();
    });
    auditConformance(harness);
  });

  describe('with a directory of one topic', () => {
    const topic = topicEntry('orders');
    let store: MetadataStore;
    let token: LeaseToken;

    beforeEach(async () => {
      await raw.flushall();
      store = open();
      await store.connect();
      const attempt = await store.leaseAcquire({ run: 'run-a', url: 'http://a', ttlMs: 60_000 });
      if ('heldBy' in attempt) throw new Error('held');
      token = attempt.token;
      const content = {
        ...EMPTY,
        topics: [topic],
        partitions: [{ topicId: topic.topicId, partition: 0, entry: partitionEntry(4) }],
      };
      await store.rebuild(token, { expectedGeneration: undefined, newGeneration: randomUUID(), content });
    });
    afterEach(() => store.close());

    const publish = (epoch: number): Promise<unknown> =>
      store.publishPartitions(token, [{ topicId: topic.topicId, partition: 0, entry: partitionEntry(epoch) }]);

    it('shows redis-cli for every partition who owns it, at which epoch', async () => {
      const shown = await raw.hgetall(`partita:{test}:part:${topic.topicId}`);
      expect(JSON.parse(shown['0'] ?? '')).toMatchObject({ leader: 1, epoch: 4, isr: [1], status: 'online' });
      expect(await raw.hget('partita:{test}:topics', 'orders')).toBe(topic.topicId);
    });

    it('notes writes in the stream with token and revision, but not those of partitions', async () => {
      await store.putBroker(token, brokerEntry(7));
      await publish(5);
      await store.putBroker(token, brokerEntry(7));
      const [entry] = await raw.xrevrange(keys.ops, '+', '-', 'COUNT', 1);
      const revision = Number(await raw.hget(keys.meta, 'revision'));
      expect(entry?.[1]).toEqual([
        ...['op', 'broker_put', 'subject', '7'],
        ...['token', String(token.number), 'revision', String(revision - 1)],
      ]);
    });

    it('does not take a reading for old because of what was written while it was on its way', async () => {
      for (let round = 0; round < 50; round++) {
        const readings = Promise.all([store.readMeta(), store.readAll()]);
        await Promise.all(
          Array.from({ length: 5 }, (_, id) => store.putBroker(token, brokerEntry(100 + 5 * round + id))),
        );
        const [meta, all] = await readings;
        expect([meta.status, all?.rolledBack]).toEqual(['current', false]);
      }
    });

    it('goes on when Redis has forgotten the scripts', async () => {
      await raw.script('FLUSH');
      expect(await publish(5)).toEqual({ status: 'published', outcomes: ['published'] });
    });

    it('fails fast while Redis is away, and goes on where it was when it is back', { timeout: 30_000 }, async () => {
      const states: string[] = [];
      store.onStateChange((state) => states.push(state));
      await redis.stop();
      await expect.poll(() => store.state).toBe('down');
      const began = performance.now();
      for (const work of [store.readAll(), publish(5), store.leaseRenew(token), store.leaseHolder()]) {
        const refused = await refusal(work);
        expect(refused.reason).toBe('METADATA_STORE_UNAVAILABLE');
      }
      expect(performance.now() - began).toBeLessThan(500);
      await redis.start();
      await expect.poll(() => store.state, { timeout: 10_000 }).toBe('up');
      expect(states).toEqual(['down', 'up']);
      expect(await store.readMeta()).toMatchObject({ status: 'current' });
      expect(await publish(6)).toEqual({ status: 'published', outcomes: ['published'] });
    });

    it('ends calls in flight when Redis is killed', async () => {
      const calls = Array.from({ length: 20 }, () => store.readAll().catch((error: unknown) => error));
      await redis.stop('SIGKILL');
      for (const answer of await Promise.all(calls)) expect(answer).toBeDefined();
      await redis.start();
      await expect.poll(() => store.state, { timeout: 10_000 }).toBe('up');
    });

    it('times out when Redis takes commands and answers none', { timeout: 30_000 }, async () => {
      redis.child?.kill('SIGSTOP');
      const began = performance.now();
      expect((await refusal(publish(5))).reason).toBe('METADATA_STORE_UNAVAILABLE');
      expect(performance.now() - began).toBeLessThan(3_500);
      redis.child?.kill('SIGCONT');
      await expect
        .poll(() => publish(6).catch(() => 'not yet'), { timeout: 10_000, interval: 100 })
        .toEqual({
          status: 'published',
          outcomes: ['published'],
        });
    });

    it('starts without Redis, down, and connects later', { timeout: 30_000 }, async () => {
      await redis.stop();
      const late = open();
      await late.connect();
      expect(late.state).toBe('down');
      const refused = await refusal(late.leaseHolder());
      expect(refused).toEqual({
        reason: 'METADATA_STORE_UNAVAILABLE',
        metadata: { address: `127.0.0.1:${redis.port}` },
      });
      await redis.start();
      await expect.poll(() => late.state, { timeout: 10_000 }).toBe('up');
      await late.close();
    });

    it('refuses a directory of a later schema', async () => {
      await raw.hset(keys.meta, 'schema', '99');
      expect((await refusal(store.readAll())).reason).toBe('VERSION_NOT_SUPPORTED');
    });

    it('publishes over a stored entry that is none', async () => {
      for (const garbage of ['{', '[]', '7', '{"epoch":"x","configVersion":1,"isrVersion":1}']) {
        await raw.hset(keys.part(topic.topicId), '0', garbage);
        expect(await publish(5)).toEqual({ status: 'published', outcomes: ['published'] });
      }
    });

    it('reads none while a rebuild is half done, and the next rebuild completes it', async () => {
      const generation = await raw.hget(keys.meta, 'generation');
      await raw.hdel(keys.meta, 'generation');
      await raw.hset(keys.meta, 'rebuilding', randomUUID());
      expect(await store.readAll()).toBeUndefined();
      expect(await publish(5)).toMatchObject({ status: 'rolled_back', generation: undefined });
      const request = { expectedGeneration: undefined, newGeneration: randomUUID(), content: EMPTY };
      expect(await store.rebuild(token, request)).toMatchObject({ status: 'written' });
      expect(await store.readMeta()).toMatchObject({ status: 'current' });
      expect(await raw.hget(keys.meta, 'generation')).not.toBe(generation);
      expect(await raw.exists(keys.topic(topic.topicId))).toBe(0);
    });
  });

  it('refuses a URL and a cluster name that are none', () => {
    const options = { url: 'redis://127.0.0.1:1', cluster: 'test', clusterId: CLUSTER_ID };
    expect(() => createRedisMetadataStore({ ...options, url: 'http://x' })).toThrow(/redis:\/\/host:port/);
    expect(() => createRedisMetadataStore({ ...options, cluster: 'a}b' })).toThrow(/cluster name/);
  });
});
