/**
 * A group under a checked history: members join, leave, crash, stand still and come back as zombies, while processes of the
 * cluster die. No record is skipped or lost, no zombie moves an offset, no partition has two owners, no position falls, and
 * in the end the group has everything.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { killNow } from './processes.ts';
import { redisBinary } from './redis-binary.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';
import { WatchedGroup } from './watched-group.ts';

const PARTITION_COUNT = 6;
const INSTANCE_COUNT = 2;
const WORK_MS = LONG ? 60_000 : 7000;
const QUIET_MS = LONG ? 6000 : 2000;
const STOPPED_MS = 15_000;
const ROUND_COUNT = LONG ? 4 : 1;
const TEST_MS_MAX = LONG ? 600_000 : 90_000;
const hasRedis = typeof (await redisBinary()) !== 'string';
let cluster: Cluster;
let group: WatchedGroup;
let groupCount = 0;
beforeAll(async () => {
  const coordinators = hasRedis ? ['--coordinators', '2'] : [];
  cluster = await startCluster({ args: ['--consumer-groups', String(INSTANCE_COUNT), ...coordinators] });
});
beforeEach(async () => {
  groupCount += 1;
  group = new WatchedGroup(() => cluster, `watched-${groupCount}`, PARTITION_COUNT);
  await group.create();
});
afterAll(() => cluster.dispose());

async function killBroker(id: number): Promise<void> {
  const pidNow = (): number => cluster.file.brokers.find((broker) => broker.id === id)?.pid ?? 0;
  const pid = pidNow();
  killNow([pid]);
  await until(`broker ${id} to be back`, 60, () => pidNow() !== 0 && pidNow() !== pid);
}

/** Kills the instance that owns the group. */
async function killOwner(): Promise<void> {
  const owner = await group.ownerPid();
  killNow([owner]);
  await until('the instance to be back', 60, () => {
    const { consumerGroup: pids } = cluster.file.pids;
    return pids.length === INSTANCE_COUNT && !pids.includes(owner);
  });
}

describe('under a checked history a group skips nothing and has one owner for each partition, when', () => {
  it(
    'members come, go, crash and stand still',
    async () => {
      const { members } = await group.workDuring('members come and go', () => sleep(WORK_MS));
      expect(members.crashed).toBeGreaterThan(2);
      expect(members.staleCommitsRefused).toBeGreaterThan(0);
    },
    TEST_MS_MAX,
  );

  it(
    'the instance of the service that owns it is killed with kill -9',
    async () => {
      await group.workDuring('owner killed', async () => {
        for (let round = 0; round < ROUND_COUNT; round += 1) {
          await sleep(QUIET_MS);
          await killOwner();
        }
        await sleep(QUIET_MS);
      });
    },
    TEST_MS_MAX,
  );

  it.runIf(LONG)(
    `the instance that owns it stands still for ${STOPPED_MS / 1000} s, is replaced, and goes on`,
    async () => {
      await group.workDuring('owner stopped', async () => {
        await sleep(QUIET_MS);
        const owner = await group.ownerPid();
        process.kill(owner, 'SIGSTOP');
        await sleep(STOPPED_MS);
        process.kill(owner, 'SIGCONT');
        await sleep(QUIET_MS);
      });
    },
    TEST_MS_MAX,
  );

  it(
    'the leader of its state is killed, and the leader of its topic',
    async () => {
      await group.workDuring('leaders killed', async () => {
        for (let round = 0; round < ROUND_COUNT; round += 1) {
          await sleep(QUIET_MS);
          await killBroker(await group.shardLeader());
          await group.untilWhole();
          await killBroker(await group.topic.busiestLeader());
          await group.untilWhole();
        }
      });
    },
    TEST_MS_MAX,
  );

  it(
    'an operator resets its offsets while members work',
    async () => {
      await group.workDuring('reset by an operator', async (work) => {
        for (let round = 0; round < ROUND_COUNT; round += 1) {
          await sleep(QUIET_MS);
          expect(await work.resetToHalf()).toBe(PARTITION_COUNT);
        }
        await sleep(QUIET_MS);
      });
    },
    TEST_MS_MAX,
  );
});
