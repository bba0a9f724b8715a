/** Redis loses what it was told, in every way: emptied, started empty, started old, replaced by a copy that lags. */
import type { RedisCommand } from '@partita/tool-dev/redis-server.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killNow } from './processes.ts';
import { redisBinary } from './redis-binary.ts';
import { RedisSuite, SETTINGS } from './redis-suite.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

/** FLUSHALL and the like: the directory is complete again within this. */
const COMPLETE_SECONDS_MAX = 10;
const FLUSH_COUNT = LONG ? 10 : 2;
const TOPIC_COUNT = LONG ? 200 : 20;

const command = await redisBinary();

if (typeof command === 'string') {
  it.skip('what Redis loses is not tested', ({ skip }) => skip(command));
} else {
  describe('a Redis that loses what it was told', () => suite(command));
}

function suite(binary: RedisCommand): void {
  let on: RedisSuite;

  beforeAll(async () => {
    on = await RedisSuite.start(binary, 'through-losses', { args: ['--coordinators', '2'] });
    for (let number = 0; number < TOPIC_COUNT; number += 1) {
      const retentionBytes = BigInt(number + 1) << 30n;
      await on.api.createTopic(`kept-${number}`, 2, { ...SETTINGS, retentionBytes });
    }
    await on.untilEqual(COMPLETE_SECONDS_MAX);
  }, 240_000);
  afterAll(() => on.dispose());

  it(`may be emptied under load, ${FLUSH_COUNT} times: complete in ${COMPLETE_SECONDS_MAX} s, settings and epochs as they were`, async () => {
    const before = await on.picture();
    const seconds: number[] = [];
    const acked = await on.whileTraffic(async () => {
      for (let time = 0; time < FLUSH_COUNT; time += 1) {
        await on.pause(500);
        await on.site.raw.flushall();
        seconds.push(await on.untilEqual(COMPLETE_SECONDS_MAX));
      }
    });
    on.figure('FLUSHALL under load, times', FLUSH_COUNT);
    on.figure(`FLUSHALL, ${TOPIC_COUNT} topics: seconds until the directory equals the inventories, at most`, Math.max(...seconds));
    on.figure('FLUSHALL: records acknowledged meanwhile', acked);
    on.figure('FLUSHALL: operations that failed', 0);
    await on.untilWritable();
    await on.expectKept(before);
    await on.check();
  }, 300_000);

  it('may be killed and started empty', async () => {
    const before = await on.picture();
    await on.whileTraffic(async () => {
      await on.site.kill();
      on.site.wipe();
      await on.pause(1000);
      await on.site.start();
      on.figure('started empty: seconds until the directory equals the inventories', await on.untilEqual(COMPLETE_SECONDS_MAX));
    });
    await on.expectKept(before);
    await on.check();
  });

  it('may be started on an old copy: what was deleted since stays deleted, what was made or changed since is there', async () => {
    await on.api.createTopic('deleted-since', 1, SETTINGS);
    await on.untilEqual(COMPLETE_SECONDS_MAX);
    const restore = await on.site.backUp();
    await on.delete('deleted-since');
    await on.api.createTopic('made-since', 2, SETTINGS);
    await on.untilEqual(COMPLETE_SECONDS_MAX);
    const before = await on.picture();
    await on.whileTraffic(async () => {
      await on.site.kill();
      restore();
      await on.site.start();
      on.figure('started on an old copy: seconds until the directory equals the inventories', await on.untilEqual(COMPLETE_SECONDS_MAX));
    });
    await on.untilWritable();
    await on.expectKept(before);
    await expect(on.api.getTopic('deleted-since')).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    await on.check();
  });

  it('may fail over to a copy that has missed the last writes', async () => {
    const replica = await on.site.startReplica();
    try {
      await on.api.createTopic('deleted-meanwhile', 1);
      await on.untilEqual(COMPLETE_SECONDS_MAX);
      await until('the copy to have it', 5, async () => (await replica.raw.dbsize()) === (await on.site.raw.dbsize()));
      await replica.raw.replicaof('NO', 'ONE');
      await on.api.createTopic('missed', 2, SETTINGS);
      await on.delete('deleted-meanwhile');
      const before = await on.picture();
      await on.whileTraffic(async () => {
        on.site.proxy.leadTo(replica.port);
        await until('the directory to equal the inventories', COMPLETE_SECONDS_MAX, async () => {
          const url = `redis://127.0.0.1:${replica.port}`;
          const { directoryDifferences } = await import('./directory-equality.ts');
          return (await directoryDifferences({ redis: url, brokers: on.cluster.file.brokers })).length === 0;
        });
      });
      await on.expectKept(before);
      // Back to the first, which is the older copy now.
      on.site.proxy.leadTo(on.site.port);
      await on.untilWritable();
      await on.expectKept(before);
      await expect(on.api.getTopic('deleted-meanwhile')).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
      await on.check();
    } finally {
      await replica.stop();
    }
  });

  it('may be lost together with every coordinator: all comes back from the brokers', async () => {
    const before = await on.picture();
    await on.whileTraffic(async () => {
      killNow(on.cluster.file.pids.coordinator);
      await on.site.raw.flushall();
      on.figure(
        'emptied with all coordinators killed: seconds until the directory equals the inventories',
        await on.untilEqual(30),
      );
    });
    await until('the coordinators', 20, () => on.picture());
    await on.untilWritable();
    await on.expectKept(before);
    // Leases are counted from 1 again; brokers hear the one who holds it none the less.
    const known = await until('the brokers to know the newest topic', 10, () => on.api.getTopic('writable-1'));
    expect(known.partitions[0]?.leaderId).toBeGreaterThan(0);
    await on.check();
  });
}
