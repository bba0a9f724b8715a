/**
 * Brokers and coordinators die, hang and lose their disks under a checked history: nothing acknowledged is lost, doubled or
 * reordered, and afterwards all replicas are byte-equal below the high watermark.
 */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { killNow } from './processes.ts';
import { activeCoordinator, ReplicatedTopic } from './replicated.ts';
import { redisBinary } from './redis-binary.ts';
import { faultsInGate, LONG } from './root.ts';
import { until } from './until.ts';

const QUIET_MS = LONG ? 5000 : 500;
/** In the gate only until another leads, and a moment more. */
const STOPPED_MS = LONG ? 20_000 : 500;
const ROUND_COUNT = LONG ? 10 : 3;
const AWAY_SECONDS_MAX = 5;
const hasRedis = typeof (await redisBinary()) !== 'string';
let cluster: Cluster;
/** One for each history, which begins with it. */
let topic: ReplicatedTopic;
let topicCount = 0;
beforeAll(async () => {
  cluster = await startCluster({ args: hasRedis ? ['--coordinators', '2'] : [] });
});
beforeEach(async () => {
  topicCount += 1;
  topic = new ReplicatedTopic(() => cluster, 'failover', `watched-${topicCount}`, 6);
  await topic.create();
});
afterAll(() => cluster.dispose());

function broker(id: number) {
  const found = cluster.file.brokers.find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`there is no broker ${id}`);
  return found;
}

async function killBroker(id: number): Promise<void> {
  const { pid } = broker(id);
  killNow([pid]);
  await until(`broker ${id} to be back`, 60, () => broker(id).pid !== pid);
}

async function killEach(): Promise<void> {
  for (const id of [1, 2, 3]) {
    await sleep(QUIET_MS);
    await killBroker(id);
    await topic.untilInSync(3);
  }
}

async function killAll(): Promise<void> {
  const killed = cluster.file.pids.broker;
  killNow(killed);
  await until('the brokers to be back', 60, () => {
    const { broker: pids } = cluster.file.pids;
    return pids.length === 3 && !pids.some((pid) => killed.includes(pid));
  });
}

async function stopLeader(): Promise<void> {
  const id = await topic.busiestLeader();
  const { pid } = broker(id);
  process.kill(pid, 'SIGSTOP');
  await until('another leader', 20, async () => (await topic.busiestLeader()) !== id);
  await sleep(STOPPED_MS);
  expect(await topic.busiestLeader()).not.toBe(id);
  process.kill(pid, 'SIGCONT');
}

async function killCoordinator(): Promise<void> {
  const api = new Api(cluster);
  const address = await activeCoordinator(api, cluster);
  api.close();
  const pid = cluster.file.pids.coordinator[cluster.file.coordinators.indexOf(address)];
  // Asked before: without an active coordinator nobody describes topics.
  const leader = await topic.busiestLeader();
  expect(pid).toBeDefined();
  killNow([pid ?? 0]);
  await killBroker(leader);
}

interface Fault {
  readonly what: string;
  readonly name: string;
  readonly happens: () => Promise<void>;
}

/** Of the long form, each under a history of its own. */
const FAULTS: readonly Fault[] = [
  {
    what: 'the leader is killed with kill -9',
    name: 'leader killed',
    happens: async () => killBroker(await topic.busiestLeader()),
  },
  { what: 'each broker is killed in turn', name: 'each broker killed in turn', happens: killEach },
  { what: 'all brokers are killed at once', name: 'all brokers killed', happens: killAll },
  { what: `the leader is stopped for ${STOPPED_MS / 1000} s`, name: 'leader stopped', happens: stopLeader },
  ...(hasRedis
    ? [
        {
          what: 'the active coordinator is killed, and a broker while nobody is active',
          name: 'active coordinator killed',
          happens: killCoordinator,
        },
      ]
    : []),
];

describe('under a checked history, nothing is lost when', () => {
  it.runIf(faultsInGate('failover'))(
    'the leader is killed, all brokers are, the leader stands still, and the active coordinator is killed',
    async () => {
      await topic.workDuring('each fault once', async () => {
        // Each broker in turn takes three times as long as the leader alone, and shows no more.
        for (const { happens } of FAULTS.filter((fault) => fault.happens !== killEach)) {
          await sleep(QUIET_MS);
          await happens();
          await topic.untilInSync(3);
        }
      });
    },
  );

  it.runIf(LONG).each(FAULTS)('$what', async ({ name, happens }) => {
    await topic.workDuring(name, async () => {
      await sleep(QUIET_MS);
      await happens();
    });
  });
});

describe('after kill -9 of a leader', () => {
  it(`producing goes on in less than ${AWAY_SECONDS_MAX} s, median of ${ROUND_COUNT}`, async () => {
    const seconds: number[] = [];
    for (let round = 0; round < ROUND_COUNT; round += 1) {
      await topic.untilInSync(3);
      const api = new Api(cluster);
      const { partitions } = await api.getTopic(topic.name);
      const victim = await topic.busiestLeader();
      const partition = partitions.find(({ leaderId }) => leaderId === victim)?.partition ?? 0;
      await api.produce(topic.name, [{ value: `before ${round}` }], { partition });
      const startMs = performance.now();
      const { pid } = broker(victim);
      killNow([pid]);
      await until('a record to be acknowledged', 30, async () => {
        const { results } = await api.produce(topic.name, [{ value: `after ${round}` }], {
          partition,
          deadlineMs: 5000,
        });
        return results[0]?.outcome?.$case === 'ack';
      });
      seconds.push((performance.now() - startMs) / 1000);
      api.close();
      await until('the broker to be back', 60, () => broker(victim).pid !== pid);
    }
    const sorted = seconds.toSorted((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? Infinity;
    figure('failover', 'seconds from kill -9 of a leader to the next acknowledgement, median', median);
    figure('failover', 'seconds from kill -9 of a leader to the next acknowledgement, slowest', sorted.at(-1) ?? 0);
    expect(median).toBeLessThan(AWAY_SECONDS_MAX);
  });
});

describe('a broker whose directory is wiped', () => {
  it('comes back blank, costs nothing that was acknowledged, and gets new replicas by itself', async () => {
    const victim = await topic.busiestLeader();
    await topic.workDuring('directory wiped', async () => {
      await sleep(QUIET_MS);
      const { pid, dataDir } = broker(victim);
      process.kill(pid, 'SIGSTOP');
      rmSync(dataDir, { recursive: true, force: true });
      killNow([pid]);
      await until('the broker to be back', 60, () => broker(victim).pid !== pid);
    });
    const { partitions } = await topic.describe();
    for (const { inSyncIds } of partitions) expect(inSyncIds).toContain(victim);
  });
});
