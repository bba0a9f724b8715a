/** Coordinators that both believe to be active, leases that vanish or are another's, and a Redis that answers late or not at all. */
import type { RedisCommand } from '@partita/tool-dev/redis-server.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killNow } from './processes.ts';
import { redisBinary } from './redis-binary.ts';
import { RedisSuite } from './redis-suite.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

const ROUND_COUNT = LONG ? 20 : 1;

const command = await redisBinary();

if (typeof command === 'string') {
  it.skip('duels over Redis are not tested', ({ skip }) => skip(command));
} else {
  describe('two coordinators on one Redis', () => suite(command));
}

function suite(binary: RedisCommand): void {
  let on: RedisSuite;

  beforeAll(async () => {
    on = await RedisSuite.start(binary, 'through-duels', { args: ['--coordinators', '2'] });
    await on.untilEqual(10);
  });
  afterAll(() => on.dispose());

  /** Process id of the coordinator at this address. */
  const pidOf = (address: string): number => {
    const { coordinators, pids } = on.cluster.file;
    return pids.coordinator[coordinators.indexOf(address)] ?? 0;
  };
  const leaseHolder = async (): Promise<string | null> => on.site.raw.hget(await on.key('lease'), 'run');
  /** One is active in the end, can write, and the directory is what the brokers say. */
  const settled = async (): Promise<void> => {
    await on.untilWritable(30);
    await on.untilOneIsActive();
    await on.untilEqual(10);
  };

  /** All but what says whose turn it is. */
  const garble = async (): Promise<void> => {
    const { raw } = on.site;
    const prefix = await on.keyDirect('');
    for (const key of await raw.keys(`${prefix}part:*`)) {
      await raw.hset(key, '0', '{"epoch":', '1', Buffer.from([0xff, 0x00]), 'x', '7');
    }
    await raw.pipeline().del(`${prefix}brokers`).set(`${prefix}brokers`, 'text').del(`${prefix}groups`).exec();
    await raw.hset(`${prefix}topics`, 'ghost', 'no id');
  };

  it(`bear a lease that vanishes, runs out early, counts from 1 again or is handed to a stranger, ${ROUND_COUNT} times`, async () => {
    const before = await on.picture();
    const [lease, count] = [await on.key('lease'), await on.key('lease_seq')];
    const { raw } = on.site;
    const harms = [
      () => raw.del(lease),
      () => raw.pexpire(lease, 1),
      () => raw.set(count, '0'),
      () => raw.hset(lease, 'token', '999999', 'run', 'stranger', 'url', '127.0.0.1:1'),
      () => raw.set(lease, 'text'),
      () => raw.persist(lease),
      () => raw.set(count, 'x'),
    ];
    await on.whileTraffic('leases taken away', async () => {
      for (let round = 0; round < ROUND_COUNT; round += 1) {
        for (const harm of harms) {
          await harm();
          await on.pause(300);
        }
        await settled();
      }
    });
    await on.expectKept(before);
    await on.ledger.check(on.api);
    on.figure('leases taken away, lowered or garbled', ROUND_COUNT * harms.length);
  }, 400_000);

  it('go on when the active one was stopped beyond its lease and continues, also on a directory full of garbage', async () => {
    const active = await on.untilOneIsActive();
    const pid = pidOf(active);
    await on.whileTraffic('stopped beyond its lease', async () => {
      process.kill(pid, 'SIGSTOP');
      await garble();
      try {
        await until('the other to take the lease', 15, async () => {
          const holder = await on.site.raw.hget(await on.keyDirect('lease'), 'url');
          return holder !== null && holder !== active;
        });
        const other = on.cluster.file.coordinators.find((address) => address !== active) ?? '';
        await until('a topic made by the other', 15, () => on.createAt(other, 'made-by-the-other'));
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await settled();
    });
    expect((await on.api.getTopic('made-by-the-other')).partitions[0]?.leaderId).toBeGreaterThan(0);
    await on.check();
  });

  it('duel when one is cut off from Redis: a broker dies, leaders are elected, nothing is lost, one is active in the end', async () => {
    const active = await on.untilOneIsActive();
    const run = await leaseHolder();
    await on.replicated.workDuring('two active coordinators, and a broker dies', async () => {
      on.site.proxy.isolate(run ?? '');
      try {
        await until('both to be active', 20, async () => (await on.activeCoordinators()).length === 2);
        for (let death = 0; death < (LONG ? 5 : 1); death += 1) {
          const busiest = await on.replicated.busiestLeader();
          killNow(on.cluster.file.brokers.filter(({ id }) => id === busiest).map(({ pid }) => pid));
          await on.pause(500);
          await on.replicated.untilInSync(3);
        }
        expect(await on.activeCoordinators()).toContain(active);
      } finally {
        on.site.proxy.isolate(undefined);
      }
      await settled();
    });
    await on.check();
  });

  it('leave the data alone while Redis hangs, is slow or refuses, and refuse changes by name', async () => {
    const { proxy } = on.site;
    const modes = [
      () => on.site.signal('SIGSTOP'),
      () => proxy.become({ kind: 'error', text: 'OOM command not allowed when used memory > maxmemory.' }),
      ...(LONG ? [() => proxy.become({ kind: 'slow', ms: 400 })] : []),
      ...(LONG
        ? ['READONLY You can not write against a read only replica.', 'BUSY', 'LOADING', 'MISCONF', 'NOAUTH'].map(
            (text) => () => proxy.become({ kind: 'error', text }),
          )
        : []),
    ];
    await on.whileTraffic('hanging and refusing', async () => {
      for (const [number, harm] of modes.entries()) {
        harm();
        try {
          const refused = await on.api.createTopic(`refused-${number}`, 1).then(
            () => undefined,
            (error: unknown) => error,
          );
          // Slow answers are answers.
          if (refused !== undefined)
            expect(refused).toMatchObject({
              reason: expect.stringMatching(/METADATA_STORE_UNAVAILABLE|COORDINATOR_UN/) as string,
            });
          await on.pause(2500);
        } finally {
          if (number === 0) on.site.signal('SIGCONT');
          proxy.become({ kind: 'pass' });
          proxy.cut();
        }
        await settled();
      }
    });
    await on.check();
  }, 300_000);
}
