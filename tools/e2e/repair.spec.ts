/** Flipped bits on one replica of three: nobody is served them, nothing is lost, and the replica is copied anew. */
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { killNow } from './processes.ts';
import { ReplicatedTopic } from './replicated.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

/** What a broker says of the damage, which the test has done. */
const DAMAGE = [/a replica is damaged/, /found damage/, /lost acknowledged records/];
const WRITE_MS = LONG ? 2000 : 1000;
let cluster: Cluster;
let topic: ReplicatedTopic;
let topicCount = 0;
beforeAll(async () => {
  cluster = await startCluster();
});
beforeEach(async () => {
  topicCount += 1;
  topic = new ReplicatedTopic(() => cluster, 'failover', `flipped-${topicCount}`, 1);
  await topic.create();
});
afterAll(() => cluster.dispose(DAMAGE));

/** Flips a bit of the oldest segment of a broker's replica, at some share of it. */
function flip(dataDir: string, topicId: string, share: number): void {
  const [path] = globSync(join(dataDir, topicId, '0', '*.log')).sort();
  if (path === undefined) throw new Error(`no segment in ${dataDir}`);
  expect(statSync(path).size).toBeGreaterThan(1000);
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length * share);
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  writeFileSync(path, bytes);
}

async function partition() {
  const api = new Api(cluster);
  try {
    const { topicId, partitions } = await api.getTopic(topic.name);
    return { topicId, ...partitions[0] };
  } finally {
    api.close();
  }
}

function broker(id: number | undefined) {
  const found = cluster.file.brokers.find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`there is no broker ${id}`);
  return found;
}

describe('a replica with a flipped bit is copied anew', () => {
  it('when it is found at a start', async () => {
    await topic.workDuring('flipped bit found at a start', async () => {
      await sleep(WRITE_MS);
      const { topicId, leaderId } = await partition();
      const victim = broker(cluster.file.brokers.map(({ id }) => id).find((id) => id !== leaderId));
      process.kill(victim.pid, 'SIGSTOP');
      // In the segment's header: a start reads that, and the end of the log, not what lies between.
      flip(victim.dataDir, topicId, 0);
      killNow([victim.pid]);
      await until('the damaged files to be put aside', 60, () =>
        existsSync(join(victim.dataDir, topicId, '0.damaged')),
      );
    });
  });

  it('when a reader meets it at the leader', async () => {
    await topic.workDuring('flipped bit met by a reader', async () => {
      await sleep(WRITE_MS);
      const { topicId, leaderId } = await partition();
      const victim = broker(leaderId);
      flip(victim.dataDir, topicId, 1 / 3);
      const api = new Api(cluster);
      await until('the damaged files to be put aside', 30, async () => {
        await api.readPartition(topic.name, 0).catch(() => undefined);
        return existsSync(join(victim.dataDir, topicId, '0.damaged'));
      });
      api.close();
      expect((await partition()).leaderId).not.toBe(leaderId);
    });
  });
});
