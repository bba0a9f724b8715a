/**
 * A group under a checked history: members join, leave, crash, stand still and come back as zombies, while processes of the
 * cluster die. No record is skipped or lost, no zombie moves an offset, no partition has two owners, no position falls, and
 * in the end the group has everything.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GroupWorkload } from '@partita/tool-history/group-workload.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { killNow } from './processes.ts';
import { redisBinary } from './redis-binary.ts';
import { faultsInGate, LONG } from './root.ts';
import { until } from './until.ts';
import { WatchedGroup } from './watched-group.ts';
import type { Watched } from './watched-group.ts';

const PARTITION_COUNT = 6;
const INSTANCE_COUNT = 2;
const WORK_MS = 60_000;
const QUIET_MS = LONG ? 6000 : 1500;
const STOPPED_MS = 15_000;
/** Of the long form; in the gate each fault happens once, all under one history. */
const ROUND_COUNT = 4;
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

/** Kills the leader of the group's state, then that of its topic. */
async function killLeaders(): Promise<void> {
  await killBroker(await group.shardLeader());
  await group.untilWhole();
  await killBroker(await group.topic.busiestLeader());
  await group.untilWhole();
}

/** The owner stands still until it is replaced, and goes on. */
async function stopOwner(): Promise<void> {
  const owner = await group.ownerPid();
  process.kill(owner, 'SIGSTOP');
  await sleep(STOPPED_MS);
  process.kill(owner, 'SIGCONT');
}

/** Members come and go; what else happens, again and again, each under a history of its own. */
const FAULTS: readonly { what: string; name: string; happens: (work: GroupWorkload) => Promise<void> }[] = [
  { what: 'the instance of the service that owns it is killed with kill -9', name: 'owner killed', happens: killOwner },
  {
    what: 'the leader of its state is killed, and the leader of its topic',
    name: 'leaders killed',
    happens: killLeaders,
  },
  {
    what: 'an operator resets its offsets while members work',
    name: 'reset by an operator',
    happens: async (work) => expect(await work.resetToHalf()).toBe(PARTITION_COUNT),
  },
];

function expectMishaps({ members }: Watched): void {
  expect(members.crashed).toBeGreaterThan(2);
  expect(members.staleCommitsRefused).toBeGreaterThan(0);
}

describe('under a checked history a group skips nothing and has one owner for each partition, when', () => {
  it.runIf(faultsInGate('group-history'))(
    'members come, go, crash and stand still, the owner and leaders are killed, and an operator resets its offsets',
    async () => {
      const watched = await group.workDuring('each fault once', async (work) => {
        for (const { happens } of FAULTS) {
          await sleep(QUIET_MS);
          await happens(work);
        }
        await sleep(QUIET_MS);
      });
      expectMishaps(watched);
    },
    TEST_MS_MAX,
  );

  it.runIf(LONG)(
    'members come, go, crash and stand still',
    async () => expectMishaps(await group.workDuring('members come and go', () => sleep(WORK_MS))),
    TEST_MS_MAX,
  );

  it.runIf(LONG)(
    `the instance that owns it stands still for ${STOPPED_MS / 1000} s, is replaced, and goes on`,
    async () => {
      await group.workDuring('owner stopped', async () => {
        await sleep(QUIET_MS);
        await stopOwner();
        await sleep(QUIET_MS);
      });
    },
    TEST_MS_MAX,
  );

  it.runIf(LONG).each(FAULTS)(
    '$what',
    async ({ name, happens }) => {
      await group.workDuring(name, async (work) => {
        for (let round = 0; round < ROUND_COUNT; round += 1) {
          await sleep(QUIET_MS);
          await happens(work);
        }
        await sleep(QUIET_MS);
      });
    },
    TEST_MS_MAX,
  );
});
