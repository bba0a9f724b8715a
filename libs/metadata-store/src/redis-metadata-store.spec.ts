/**
 * Against a real redis-server: PARTITA_TEST_REDIS_SERVER names the binary (PARTITA_TEST_REDIS_LIBRARY_PATH its
 * libraries), else the one on the PATH; without one these tests are skipped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { metadataKeys } from './keys.ts';
import type { LeaseToken, MetadataStore } from './metadata-store.ts';
import { createRedisMetadataStore } from './redis-metadata-store.ts';
import { EMPTY, brokerEntry, partitionEntry, refusal, topicEntry } from './samples.conformance.ts';
import { storeConformance } from './store.conformance.ts';
import type { StoreHarness } from './store.conformance.ts';
import { auditConformance } from './audit.conformance.ts';
import { settingsConformance } from './settings.conformance.ts';

const server = setting('PARTITA_TEST_REDIS_SERVER') ?? onPath('redis-server');
const libraries = setting('PARTITA_TEST_REDIS_LIBRARY_PATH');
const CLUSTER_ID = '0c9e3f5a-0000-4000-8000-000000000001';
const keys = metadataKeys('test');

function setting(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

function onPath(name: string): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

if (server === undefined) {
  it.skip('the metadata store in Redis is not tested: set PARTITA_TEST_REDIS_SERVER to a redis-server');
}

describe.runIf(server !== undefined)('the metadata store in Redis', () => {
  let folder = '';
  let port = 0;
  let child: ChildProcess | undefined;
  let raw: Redis;

  async function startServer(): Promise<void> {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--save', ''];
    const env = libraries === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries };
    child = spawn(server ?? '', args, { stdio: 'ignore', env });
    for (let poll = 0; poll < 500; poll += 1) {
      const answer = await raw.ping().catch(() => undefined);
      if (answer === 'PONG') return;
      await sleep(20);
    }
    throw new Error('redis-server did not start');
  }
  async function stopServer(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (child === undefined) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    child = undefined;
  }
  function open(clusterId = CLUSTER_ID): MetadataStore {
    return createRedisMetadataStore({ url: `redis://127.0.0.1:${port}`, cluster: 'test', clusterId });
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'partita-metadata-'));
    port = await freePort();
    raw = new Redis(port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: 0, enableOfflineQueue: false });
    raw.on('error', () => undefined);
    await startServer();
    await raw.config('SET', 'appendfsync', 'always');
  });
  afterAll(async () => {
    raw.disconnect();
    await stopServer();
    rmSync(folder, { recursive: true, force: true });
  });

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
      await stopServer();
      await expect.poll(() => store.state).toBe('down');
      const began = performance.now();
      for (const work of [store.readAll(), publish(5), store.leaseRenew(token), store.leaseHolder()]) {
        const refused = await refusal(work);
        expect(refused.reason).toBe('METADATA_STORE_UNAVAILABLE');
      }
      expect(performance.now() - began).toBeLessThan(500);
      await startServer();
      await expect.poll(() => store.state, { timeout: 10_000 }).toBe('up');
      expect(states).toEqual(['down', 'up']);
      expect(await store.readMeta()).toMatchObject({ status: 'current' });
      expect(await publish(6)).toEqual({ status: 'published', outcomes: ['published'] });
    });

    it('ends calls in flight when Redis is killed', async () => {
      const calls = Array.from({ length: 20 }, () => store.readAll().catch((error: unknown) => error));
      await stopServer('SIGKILL');
      for (const answer of await Promise.all(calls)) expect(answer).toBeDefined();
      await startServer();
      await expect.poll(() => store.state, { timeout: 10_000 }).toBe('up');
    });

    it('times out when Redis takes commands and answers none', { timeout: 30_000 }, async () => {
      child?.kill('SIGSTOP');
      const began = performance.now();
      expect((await refusal(publish(5))).reason).toBe('METADATA_STORE_UNAVAILABLE');
      expect(performance.now() - began).toBeLessThan(3_500);
      child?.kill('SIGCONT');
      await expect
        .poll(() => publish(6).catch(() => 'not yet'), { timeout: 10_000, interval: 100 })
        .toEqual({
          status: 'published',
          outcomes: ['published'],
        });
    });

    it('starts without Redis, down, and connects later', { timeout: 30_000 }, async () => {
      await stopServer();
      const late = open();
      await late.connect();
      expect(late.state).toBe('down');
      const refused = await refusal(late.leaseHolder());
      expect(refused).toEqual({
        reason: 'METADATA_STORE_UNAVAILABLE',
        metadata: { address: `127.0.0.1:${port}` },
      });
      await startServer();
      await expect.poll(() => late.state, { timeout: 10_000 }).toBe('up');
      await late.close();
    });

    it.each([
      ['a partition that is no JSON', () => raw.hset(keys.part(topic.topicId), '0', 'garbage')],
      ['a partition without an epoch', () => raw.hset(keys.part(topic.topicId), '0', '{"leader":1}')],
      ['a partition whose number is none', () => raw.hset(keys.part(topic.topicId), 'x', '{}')],
      ['a broker that is a list', () => raw.hset(keys.brokers, '1', '[]')],
      ['a topic in an unknown state', () => raw.hset(keys.topic(topic.topicId), 'state', 'dreaming')],
      ['a name without its topic', () => raw.hset(keys.topics, 'ghost', randomUUID())],
      ['a revision that is no number', () => raw.hset(keys.meta, 'revision', 'many')],
      ['a tombstone that is no JSON', () => raw.set(keys.tomb(randomUUID()), '{')],
      ['a hash that is a string', () => raw.set(keys.groups, 'text')],
      ['a lease count that is no number', () => raw.set(keys.leaseSeq, 'x')],
    ])('answers a typed error for %s', async (_what, spoil) => {
      await spoil();
      expect((await refusal(store.readAll())).reason).toBe('METADATA_STORE_UNAVAILABLE');
    });

    it('refuses a directory of a later schema', async () => {
      await raw.hset(keys.meta, 'schema', '99');
      expect((await refusal(store.readAll())).reason).toBe('VERSION_NOT_SUPPORTED');
    });

    it('publishes over a stored entry that is none, and answers a typed error for keys of another type', async () => {
      for (const garbage of ['{', '[]', '7', '{"epoch":"x","configVersion":1,"isrVersion":1}']) {
        await raw.hset(keys.part(topic.topicId), '0', garbage);
        expect(await publish(5)).toEqual({ status: 'published', outcomes: ['published'] });
      }
      await raw.set(keys.brokers, 'text');
      expect((await refusal(store.putBroker(token, brokerEntry(1)))).reason).toBe('METADATA_STORE_UNAVAILABLE');
      await raw.set(keys.lease, 'text');
      expect((await refusal(store.leaseHolder())).reason).toBe('METADATA_STORE_UNAVAILABLE');
      expect((await refusal(publish(6))).reason).toBe('METADATA_STORE_UNAVAILABLE');
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
