/**
 * The history checker is itself put to the test: on brokers with a bug put in it finds what the bug does, by its name, and on
 * the same brokers without one, nothing. In each round a leader goes on alone for a moment, and is overtaken.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '@partita/client';
import { checkHistory } from '@partita/tool-history/checker.ts';
import type { Verdict } from '@partita/tool-history/checker.ts';
import { Recorder } from '@partita/tool-history/recorder.ts';
import { Workload } from '@partita/tool-history/workload.ts';
import { describe, expect, it } from 'vitest';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { BUG_VARIABLE, PLANTED_BUGS } from './planted-bugs.ts';
import { PLANTED_GROUP_BUGS } from './planted-group-bugs.ts';
import { PLANTED_PRODUCER_BUGS } from './planted-producer-bugs.ts';
import { killNow } from './processes.ts';
import { LONG, ROOT } from './root.ts';
import { until } from './until.ts';

const TOPIC = 'watched';
const ALONE_MS = 600;
const LOADER = fileURLToPath(new URL('./plant-bug.ts', import.meta.url));
/** A replica with a bug may break an invariant of another, which says so. */
const PROVOKED = [/a replica has stopped/, /cannot be stored/];

async function withCluster(bug: string, work: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await startCluster({ env: { NODE_OPTIONS: `--import ${LOADER}`, [BUG_VARIABLE]: bug } });
  try {
    await work(cluster);
  } finally {
    await cluster.dispose(PROVOKED);
  }
}

/**
 * The followers stand still, so the leader goes on alone, and stands still itself; the followers die, with all that was on its
 * way to them, and when they are back one of them leads. Then the old leader goes on.
 */
async function overtakeLonelyLeader(cluster: Cluster): Promise<void> {
  const client = await connect({ servers: [cluster.addresses.gateway] });
  const leaderId = async () => (await client.admin.getTopic(TOPIC)).partitions[0]?.leaderId;
  const old = await leaderId();
  const { brokers } = cluster.file;
  const followers = brokers.filter(({ id }) => id !== old).map(({ pid }) => pid);
  const leader = brokers.find(({ id }) => id === old)?.pid ?? 0;
  for (const pid of followers) process.kill(pid, 'SIGSTOP');
  await sleep(ALONE_MS);
  process.kill(leader, 'SIGSTOP');
  killNow(followers);
  await until('another leader', 30, async () => {
    const now = await leaderId();
    return now !== 0 && now !== old;
  });
  process.kill(leader, 'SIGCONT');
  await client.close();
}

async function checkedRound(cluster: Cluster): Promise<Verdict> {
  const endpoints = [cluster.addresses.gateway];
  const client = await connect({ servers: endpoints });
  await until('the topic', 20, () => client.admin.createTopic({ name: TOPIC, partitionCount: 1 }));
  await until('all replicas in sync', 20, async () => {
    const { partitions } = await client.admin.getTopic(TOPIC);
    return partitions[0]?.inSyncIds.length === 3;
  });
  await client.close();
  const recorder = new Recorder();
  const workload = await Workload.start({ endpoints, topic: TOPIC, recorder });
  await sleep(1500);
  await overtakeLonelyLeader(cluster);
  await sleep(1500);
  await workload.stop();
  await workload.finalRead(15);
  return checkHistory(recorder.events);
}

// Most run in the long form only, and would not be missed before.
it.each([...PLANTED_BUGS, ...PLANTED_GROUP_BUGS, ...PLANTED_PRODUCER_BUGS])(
  'the line that "$name" changes is in its file, once',
  ({ file, from }) => {
    expect(readFileSync(join(ROOT, file), 'utf8').split(from)).toHaveLength(2);
  },
);

describe('a history of brokers', () => {
  // The gate has brokers without a bug in every other suite, and time for one with.
  it.skipIf(!LONG)('without a bug has no anomaly (long form only)', async () => {
    await withCluster('', async (cluster) => {
      const verdict = await checkedRound(cluster);
      expect(verdict.anomalies).toEqual({});
      expect(verdict.unseenCount).toBe(0);
    });
  });

  it.each(LONG ? PLANTED_BUGS : PLANTED_BUGS.slice(0, 1))(
    'where $name shows it as $anomaly',
    async ({ name, anomaly }) => {
      await withCluster(name, async (cluster) => {
        const { anomalies } = await checkedRound(cluster);
        expect(Object.keys(anomalies)).toContain(anomaly);
        figure('failover', `planted bug found as ${anomaly}`, 1);
      });
    },
  );
});
