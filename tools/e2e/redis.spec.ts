/**
 * Redis shows who owns what, and is not needed for producing and consuming: it may be away, and may lose what it was told in
 * every way: emptied, started empty or old, replaced by a copy that lags, filled with garbage.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { RedisCommand } from '@partita/tool-dev/redis-server.ts';
import { ClientError, connect } from '@partita/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directoryDifferences, untilDirectoryEqual } from './directory-equality.ts';
import { killNow } from './processes.ts';
import { redisBinary } from './redis-binary.ts';
import { RedisSuite, SETTINGS } from './redis-suite.ts';
import { LONG, ROOT } from './root.ts';
import { until } from './until.ts';

/** However it was lost: the directory is complete again within this. */
const COMPLETE_SECONDS_MAX = 10;
const OUTAGE_SECONDS = LONG ? 300 : 20;
const FLUSH_COUNT = LONG ? 20 : 2;
const TOPIC_COUNT = LONG ? 200 : 10;
/** Lies that look like entries are found when the directory has been read back twice. */
const FOUND_SECONDS_MAX = 40;

const command = await redisBinary();

if (typeof command === 'string') {
  it.skip('Redis under a cluster is not tested', ({ skip }) => skip(command));
} else {
  describe('Redis under a cluster', () => suite(command));
}

function suite(binary: RedisCommand): void {
  let on: RedisSuite;

  beforeAll(async () => {
    on = await RedisSuite.start(binary, 'through-losses', { args: ['--coordinators', '2'] });
    for (let number = 0; number < TOPIC_COUNT; number += 1) {
      const retentionBytes = BigInt(number + 1) << 30n;
      await on.api.createTopic(`kept-${number}`, 2, { ...SETTINGS, retentionBytes });
    }
  }, 240_000);
  afterAll(() => on.dispose());

  /** Equal again in time after a loss; all that was known is as it was. */
  const complete = async (what: string, secondsMax = COMPLETE_SECONDS_MAX): Promise<void> => {
    const seconds = await on.untilEqual(secondsMax);
    on.figure(`${what}: seconds until the directory equals the inventories`, seconds);
  };

  it('shows for every topic and partition what the disks of the brokers say', async () => {
    await on.untilEqual(COMPLETE_SECONDS_MAX);
    const { partitions } = await on.api.getTopic(on.ledger.topic);
    expect(new Set(partitions.map(({ leaderId }) => leaderId)).size).toBe(3);
  });

  it('shows it to redis-cli too', async ({ skip }) => {
    const cli = join(dirname(binary.path), 'redis-cli');
    if (!existsSync(cli)) skip(`no redis-cli beside ${binary.path}`);
    const [topic] = (await on.topics()).filter(({ name }) => name === on.ledger.topic);
    const key = await on.key(`part:${topic?.topicId}`);
    const { stdout } = await promisify(execFile)(cli, ['-p', String(on.site.port), 'hget', key, '0'], {
      env: { ...process.env, ...binary.env },
    });
    const { leaderId, leaderEpoch } = topic?.partitions[0] ?? {};
    expect(JSON.parse(stdout)).toMatchObject({ leader: leaderId, epoch: leaderEpoch, status: 'online' });
  });

  it('is refused by a coordinator of another cluster, which exits with code 4 and says why', async () => {
    const before = await on.site.raw.dbsize();
    const stranger = ['--cluster-id', '11111111-1111-4111-8111-111111111111', '--redis-url', on.site.directUrl];
    const args = [
      'apps/coordinator/src/main.ts',
      '--listen',
      '127.0.0.1:0',
      '--peer-listen',
      '127.0.0.1:0',
      ...stranger,
    ];
    const ended = await promisify(execFile)(process.execPath, args, { cwd: ROOT }).catch((error: unknown) => error);
    expect(ended).toMatchObject({ code: 4 });
    expect(Object.values(ended as object).join('\n')).toContain('this Redis holds the metadata of cluster');
    expect(await on.site.raw.dbsize()).toBe(before);
  });

  it(`may be emptied under load, ${FLUSH_COUNT} times: settings, owners and epochs are as they were`, async () => {
    const before = await on.picture();
    const seconds: number[] = [];
    const acked = await on.whileTraffic('FLUSHALL', async () => {
      for (let time = 0; time < FLUSH_COUNT; time += 1) {
        await on.pause(500);
        await on.site.raw.flushall();
        seconds.push(await on.untilEqual(COMPLETE_SECONDS_MAX));
      }
    });
    const most = Math.max(...seconds);
    on.figure('FLUSHALL under load, times', FLUSH_COUNT);
    on.figure(`FLUSHALL, ${TOPIC_COUNT} topics: seconds until the directory equals the inventories, at most`, most);
    on.figure('FLUSHALL: records acknowledged meanwhile', acked);
    on.figure('FLUSHALL: operations that failed', 0);
    await on.untilWritable();
    await on.expectKept(before);
    await on.check();
  }, 300_000);

  it('may be started on an old copy: what was deleted since stays deleted, what was made since is there', async () => {
    await on.api.createTopic('deleted-since', 1, SETTINGS);
    await on.untilEqual(COMPLETE_SECONDS_MAX);
    const restore = await on.site.backUp();
    await on.delete('deleted-since');
    await on.api.createTopic('made-since', 2, SETTINGS);
    await on.untilEqual(COMPLETE_SECONDS_MAX);
    const before = await on.picture();
    await on.whileTraffic('an old copy', async () => {
      await on.site.kill();
      restore();
      await on.site.start();
      await complete('started on an old copy');
    });
    await on.untilWritable();
    await on.expectKept(before);
    await expect(on.api.getTopic('deleted-since')).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    await on.check();
  });

  it(`may be away for ${OUTAGE_SECONDS} s, with every coordinator killed meanwhile, and come back empty`, async () => {
    const before = await on.picture();
    const acked = await on.whileTraffic('away', async () => {
      await on.site.kill();
      const downAtMs = performance.now();
      const atStart = on.ledger.acked.size;
      await expect(on.api.createTopic('while-down', 1)).rejects.toMatchObject({ reason: 'METADATA_STORE_UNAVAILABLE' });
      killNow(on.cluster.file.pids.coordinator);
      await until('the topics to be known from the brokers alone', 30, async () => {
        const now = await on.picture();
        return Object.keys(before.topics).every((name) => Object.hasOwn(now.topics, name));
      });
      await on.pause(Math.max(0, OUTAGE_SECONDS * 1000 - (performance.now() - downAtMs)));
      expect(on.ledger.acked.size).toBeGreaterThan(atStart + OUTAGE_SECONDS * 20);
      on.site.wipe();
      await on.site.start();
      await complete('away, and started empty');
    });
    on.figure('seconds without Redis', OUTAGE_SECONDS);
    on.figure('records acknowledged around the outage', acked);
    on.figure('failed operations', 0);
    await on.untilWritable();
    await on.expectKept(before);
    await on.check();
  }, 600_000);

  it.runIf(LONG)(
    'may be filled with garbage: it is found, and written anew',
    async () => {
      const before = await on.picture();
      const { raw } = on.site;
      const part = await on.key(`part:${(await on.api.getTopic(on.ledger.topic)).topicId}`);
      const [names, brokers, meta] = [await on.key('topics'), await on.key('brokers'), await on.key('meta')];
      const entry = JSON.parse((await raw.hget(part, '0')) ?? '{}') as object;
      const lies = [
        () => raw.hset(part, '0', JSON.stringify(entry).slice(0, 30), '1', '{}', '2', Buffer.from([0xff, 0x00])),
        () => raw.hset(part, '1', JSON.stringify({ ...entry, epoch: 500, leader: 2 })),
        () => raw.hset(part, '3', JSON.stringify({ ...entry, configVersion: 7, replicas: [] })),
        () => raw.hdel(names, on.ledger.topic),
        () => raw.hset(names, 'ghost', '11111111-1111-4111-8111-111111111111'),
        () => raw.pipeline().del(brokers).set(brokers, 'text').exec(),
        () => raw.hset(meta, 'revision', '-5'),
        () => raw.hset(meta, 'revision', '9223372036854775807'),
        () => raw.hset(meta, 'generation', 'garbage'),
        () => raw.pipeline().del(meta).lpush(meta, 'x').exec(),
        () => raw.hset(meta, 'cluster_id', 'garbage'),
      ];
      await on.whileTraffic('garbage', async () => {
        for (const lie of lies) {
          await lie();
          const site = { redis: on.site.directUrl, brokers: on.cluster.file.brokers };
          if ((await directoryDifferences(site).catch(() => ['garbage'])).length === 0) await on.pause(3000);
          await complete('filled with garbage', FOUND_SECONDS_MAX);
        }
      });
      await on.untilWritable();
      await on.expectKept(before);
      await on.check();
    },
    900_000,
  );

  it.runIf(LONG)(
    'may fail over to a copy that has missed the last writes, and back',
    async () => {
      const replica = await on.site.startReplica();
      try {
        await on.api.createTopic('deleted-meanwhile', 1);
        await on.untilEqual(COMPLETE_SECONDS_MAX);
        await until(
          'the copy to have it',
          5,
          async () => (await replica.raw.dbsize()) === (await on.site.raw.dbsize()),
        );
        await replica.raw.replicaof('NO', 'ONE');
        await on.api.createTopic('missed', 2, SETTINGS);
        await on.delete('deleted-meanwhile');
        const before = await on.picture();
        await on.whileTraffic('failover', async () => {
          for (const port of [replica.port, on.site.port]) {
            on.site.proxy.leadTo(port);
            await on.untilWritable();
            await untilDirectoryEqual(
              () => ({ redis: `redis://127.0.0.1:${port}`, brokers: on.cluster.file.brokers }),
              COMPLETE_SECONDS_MAX,
            );
            await on.expectKept(before);
          }
        });
        await expect(on.api.getTopic('deleted-meanwhile')).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
        await on.check();
      } finally {
        on.site.proxy.leadTo(on.site.port);
        await replica.stop();
      }
    },
    300_000,
  );

  it.runIf(LONG)(
    'may be lost with every coordinator while a broker sleeps through a deletion: the topic stays deleted',
    async () => {
      const client = await connect({ servers: on.replicated.endpoints });
      await client.admin.createTopic({ name: 'slept-through', partitionCount: 2, replicationFactor: 3 });
      await on.untilEqual(COMPLETE_SECONDS_MAX);
      const sleeper = on.cluster.file.brokers[2]?.pid ?? 0;
      process.kill(sleeper, 'SIGSTOP');
      try {
        await until('the deletion', 30, () =>
          client.admin.deleteTopic('slept-through').then(
            () => true,
            (error: unknown) => error instanceof ClientError && error.reason === 'TOPIC_NOT_FOUND',
          ),
        );
        killNow(on.cluster.file.pids.coordinator);
        await on.site.raw.flushall();
        await until('changes to be refused until the broker is back', 30, async () => {
          await expect(on.api.createTopic('too-early', 1)).rejects.toMatchObject({ reason: 'REBUILDING' });
          return true;
        });
      } finally {
        process.kill(sleeper, 'SIGCONT');
      }
      await on.untilWritable(60);
      await expect(client.admin.getTopic('slept-through')).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
      await client.close();
      await on.replicated.untilInSync(3);
      await on.check(30);
    },
    200_000,
  );

  it.runIf(LONG)(
    'may be emptied, or filled with garbage, while every coordinator is dead',
    async () => {
      const before = await on.picture();
      const harms = [
        () => on.site.raw.flushall(),
        async () => {
          for (const key of await on.site.raw.keys('partita:*'))
            await on.site.raw.pipeline().del(key).set(key, '{').exec();
        },
      ];
      await on.whileTraffic('coordinators dead', async () => {
        for (const harm of harms) {
          killNow(on.cluster.file.pids.coordinator);
          await harm();
          await complete('lost with all coordinators', 40);
          // Leases are counted from 1 again; the brokers hear who holds it none the less.
          await on.untilWritable();
          await on.expectKept(before);
        }
      });
      await on.check();
    },
    300_000,
  );
}
