/** Redis shows who owns what, and is not needed for producing and consuming: it may stop, or lose everything. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freeLoopbackPort, startRedisServer } from '@partita/tool-dev/redis-server.ts';
import type { RedisCommand, RedisProcess } from '@partita/tool-dev/redis-server.ts';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { Member } from './member.ts';
import { killNow } from './processes.ts';
import { redisBinary } from './redis-binary.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';
import { Ledger, writeSdk, writeUnary } from './writers.ts';

const OUTAGE_SECONDS = LONG ? 20 : 5;
const PARTITION_COUNT = 4;

/** What Redis must say of a partition, whoever wrote it and when. */
interface Ownership {
  readonly leader: number;
  readonly epoch: number;
  readonly replicas: readonly { readonly brokerId: number }[];
}

const command = await redisBinary();

if (typeof command === 'string') {
  it.skip('Redis under a cluster is not tested', ({ skip }) => skip(command));
} else {
  describe('Redis under a cluster', () => suite(command));
}

function suite(binary: RedisCommand): void {
  const ledger = new Ledger('through-outages', PARTITION_COUNT);
  let dataDir: string;
  let port: number;
  let server: RedisProcess;
  let redis: Redis;
  let cluster: Cluster;
  let api: Api;
  let topicId: string;

  const startRedis = async (): Promise<void> => {
    server = await startRedisServer({ command: binary, port, dataDir });
  };
  const killRedis = async (): Promise<void> => {
    killNow([server.pid]);
    await server.exited;
  };

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'partita-redis-'));
    port = await freeLoopbackPort();
    await startRedis();
    redis = new Redis(port, '127.0.0.1', { lazyConnect: false, maxRetriesPerRequest: null });
    redis.on('error', () => undefined); // it is killed on purpose
    cluster = await startCluster({ redis: 'url', env: { REDIS_URL: server.url } });
    api = new Api(cluster);
    const topic = await until('the topic', 20, () => api.createTopic(ledger.topic, PARTITION_COUNT));
    topicId = topic.topicId;
  });
  afterAll(async () => {
    api.close();
    redis.disconnect();
    await cluster.dispose();
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  /** The key of the topic's partitions, for any cluster name. */
  const partKey = async (): Promise<string> => {
    const [key, ...more] = await redis.keys(`partita:{*}:part:${topicId}`);
    if (key === undefined || more.length > 0) throw new Error('not exactly one key holds the partitions of the topic');
    return key;
  };

  const ownership = async (): Promise<Record<string, Ownership>> => {
    const stored = await redis.hgetall(await partKey());
    return Object.fromEntries(
      Object.entries(stored).map(([partition, text]) => {
        const { leader, epoch, replicas } = JSON.parse(text) as Ownership;
        return [partition, { leader, epoch, replicas: replicas.map(({ brokerId }) => ({ brokerId })) }];
      }),
    );
  };

  /** Runs writers and a consumer while `disaster` happens; returns what they did. None of it may fail. */
  const whileTraffic = async (group: string, disaster: () => Promise<void>): Promise<{ acked: number }> => {
    const member = new Member(api, cluster.addresses.consumerGroup, group, [ledger.topic]);
    await member.untilHolding(PARTITION_COUNT);
    const [ackedBefore, failuresBefore] = [ledger.acked.size, ledger.failures.length];
    const writers = [writeUnary(api, ledger), await writeSdk(cluster.addresses.gateway, ledger)];
    try {
      await disaster();
    } finally {
      await Promise.all(writers.map((writer) => writer.stop()));
    }
    // A send that the end of the writer cut off is no failure of the cluster.
    const failures = ledger.failures.slice(failuresBefore).filter((text) => !/cancelled/.test(text));
    expect(failures).toEqual([]);
    await until('the consumer to have everything', 20, () => {
      member.mustLive();
      const values = new Set(member.values);
      const missing = [...ledger.acked].filter((value) => !values.has(value));
      if (missing.length > 0)
        throw new Error(`${missing.length} are missing, the first: ${missing.slice(0, 3).join(', ')}`);
      return true;
    });
    await member.leave();
    return { acked: ledger.acked.size - ackedBefore };
  };

  it('shows for every partition who owns it, at which epoch, as the coordinator says', async () => {
    const { partitions } = await api.getTopic(ledger.topic);
    expect(partitions).toHaveLength(PARTITION_COUNT);
    const expected = partitions.map(({ partition, leaderId, leaderEpoch, replicas }) => [
      String(partition),
      { leader: leaderId, epoch: leaderEpoch, replicas: replicas.map(({ brokerId }) => ({ brokerId })) },
    ]);
    // The directory is written behind the answer: ownership is decided by the brokers' disks, not by Redis.
    const stored = await until('the ownership in Redis', 10, async () => {
      const now = await ownership();
      expect(now).toEqual(Object.fromEntries(expected) as object);
      return now;
    });
    for (const { leader, epoch } of Object.values(stored)) {
      expect(cluster.file.brokers.map(({ id }) => id)).toContain(leader);
      expect(epoch).toBeGreaterThan(0);
    }
    expect(new Set(Object.values(stored).map(({ leader }) => leader)).size).toBe(3);
  });

  it('shows it to redis-cli too', async ({ skip }) => {
    const cli = join(dirname(binary.path), 'redis-cli');
    if (!existsSync(cli)) skip(`no redis-cli beside ${binary.path}`);
    const { stdout } = await promisify(execFile)(cli, ['-p', String(port), 'hget', await partKey(), '0'], {
      env: { ...process.env, ...binary.env },
    });
    expect(JSON.parse(stdout)).toMatchObject((await ownership())['0'] ?? {});
  });

  it(`may be down for ${OUTAGE_SECONDS} s: nothing that is produced or consumed fails, changes are refused by name`, async () => {
    const before = await ownership();
    const { acked } = await whileTraffic('outage', async () => {
      await sleep(1000);
      await killRedis();
      const downAt = performance.now();
      const atStart = ledger.acked.size;
      const refused = await api.createTopic('while-down', 1).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(refused).toMatchObject({ reason: 'METADATA_STORE_UNAVAILABLE' });
      await sleep(Math.max(0, OUTAGE_SECONDS * 1000 - (performance.now() - downAt)));
      expect(ledger.acked.size).toBeGreaterThan(atStart + OUTAGE_SECONDS * 20);
      await startRedis();
      await sleep(1000);
    });
    figure('redis', 'seconds without Redis', OUTAGE_SECONDS);
    figure('redis', 'records acknowledged around the outage', acked);
    figure('redis', 'failed operations', 0);
    await until('a topic to be created again', 20, () => api.createTopic('after-outage', 1));
    expect(await ownership()).toEqual(before);
    await ledger.check(api);
  });

  it('is written again after FLUSHALL, with epochs that never fall', async () => {
    const before = await ownership();
    await whileTraffic('flush', async () => {
      await sleep(500);
      const flushed = performance.now();
      await redis.flushall();
      const after = await until('the directory to be back', 30, async () => {
        const now = await ownership();
        return Object.keys(now).length === PARTITION_COUNT ? now : undefined;
      });
      figure('redis', 'seconds until the directory was back after FLUSHALL', (performance.now() - flushed) / 1000);
      for (const [partition, owner] of Object.entries(before)) {
        expect(after[partition]?.epoch).toBeGreaterThanOrEqual(owner.epoch);
        expect(after[partition]).toMatchObject({ leader: owner.leader, replicas: owner.replicas });
      }
    });
    await until('a topic to be created', 20, () => api.createTopic('after-flush', 1));
    await ledger.check(api);
  });

  it('may be lost together with the coordinator: topics and ownership come back from the brokers', async () => {
    const before = await ownership();
    const known = await api.getTopic(ledger.topic);
    await whileTraffic('rebuild', async () => {
      const coordinators = cluster.file.pids.coordinator;
      await killRedis();
      killNow(coordinators);
      rmSync(dataDir, { recursive: true, force: true });
      await startRedis();
      const lostAt = performance.now();
      const rebuilt = await until('the topic to be known again', 60, () => api.getTopic(ledger.topic));
      figure('redis', 'seconds until topics were rebuilt from the brokers', (performance.now() - lostAt) / 1000);
      expect(rebuilt).toMatchObject({ topicId: known.topicId, partitionCount: PARTITION_COUNT });
    });
    const after = await until('the ownership in Redis', 30, async () => {
      const now = await ownership();
      return Object.keys(now).length === PARTITION_COUNT ? now : undefined;
    });
    for (const [partition, owner] of Object.entries(before)) {
      expect(after[partition]?.epoch).toBeGreaterThanOrEqual(owner.epoch);
      expect(after[partition]).toMatchObject({ leader: owner.leader, replicas: owner.replicas });
    }
    for (const name of ['after-outage', 'after-flush']) expect((await api.getTopic(name)).name).toBe(name);
    await until('a topic to be created', 20, () => api.createTopic('after-rebuild', 1));
    await ledger.check(api);
  });
}
