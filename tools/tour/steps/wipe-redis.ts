import { setTimeout as sleep } from 'node:timers/promises';
import type { Topic } from '@partita/protocol';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import { Redis } from 'ioredis';
import { acknowledgedAreKept, check, inOrderOfSending, longestGapMs } from '../checks.ts';
import type { Flight } from '../flights.ts';
import { nowMs } from '../member-report.ts';
import { readAll, tellSends } from '../sends-told.ts';
import { PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';
import { SteadySends } from '../steady-sends.ts';

/** Producing goes on for this long before the wipe, and once the directory is whole again. */
const CALM_MS = 700;
const WHOLE_MS_MAX = 20_000;
const POLL_MS = 20;
/** A setting that nobody has by default: it must survive. */
const RETENTION_SECONDS = 54_321n;

/** Address of the Redis that the cluster's launcher runs for it alone; undefined when it is somebody else's, or none. */
export function ownRedis(home: string): string | undefined {
  const { redis, pids } = readReadyFile(home);
  return pids.redis.length > 0 ? redis : undefined;
}

/** Empties Redis in the middle of producing, and waits until all that it said is written there again. */
export async function wipeRedis(stage: Stage, redisUrl: string, flights: readonly Flight[]): Promise<void> {
  const { client, terminal, checks, wipedTopic: name } = stage;
  terminal.step('Redis loses everything: FLUSHALL in the middle of producing');
  const settings = { retentionAge: { seconds: RETENTION_SECONDS, nanos: 0 } };
  const before = await client.admin.createTopic({ name, partitionCount: PARTITION_COUNT, settings });
  const redis = new Redis(redisUrl, { lazyConnect: true });
  try {
    await redis.connect();
    const producing = new SteadySends({
      producer: client.producer(),
      topic: name,
      partitions: before.partitions,
      flights,
    });
    await sleep(CALM_MS);
    const keys = await directoryKeys(redis);
    await redis.flushall();
    const wipedMs = nowMs();
    terminal.line(`${keys.length} keys are gone: topics, brokers, who leads what, who coordinates`);
    const missing = await untilBack(redis, keys);
    const wholeMs = nowMs() - wipedMs;
    await sleep(CALM_MS);
    await producing.stop();
    const acksMs = producing.sends.flatMap(({ outcome, atMs }) => (typeof outcome === 'object' ? [atMs] : []));
    terminal.line(`all is written there again ${seconds(wholeMs)} later, by the coordinator, from what brokers hold`);
    terminal.line(`between two acknowledgements clients waited ${seconds(longestGapMs(acksMs))} at most`);
    const stored = await readAll(stage, name);
    tellSends(stage, producing.sends, stored);
    const after = await client.admin.getTopic(name);
    checks.push(
      acknowledgedAreKept('with what Redis held', producing.sends, stored),
      inOrderOfSending(stored),
      check('nothing that was sent failed meanwhile', producing.sends.length === acksMs.length, {
        yes: `${producing.sends.length} sent, all acknowledged`,
        no: `${producing.sends.length - acksMs.length} of ${producing.sends.length} failed`,
      }),
      check(
        'the directory is as before, settings and leaders included',
        missing.length === 0 && isSame(before, after),
        {
          yes: `${keys.length} keys, retention of ${name} still ${RETENTION_SECONDS} s`,
          no: missing.length > 0 ? `missing: ${missing.join(', ')}` : 'the topic differs',
        },
      ),
    );
  } finally {
    redis.disconnect();
  }
}

/** What everybody relies on: not the audit trail, nor what ends by itself. */
async function directoryKeys(redis: Redis): Promise<string[]> {
  return (await redis.keys('partita:*')).filter((key) => !/:(ops|tomb:.*)$/.test(key)).sort();
}

/** The keys that are not there again in time. */
async function untilBack(redis: Redis, keys: readonly string[]): Promise<string[]> {
  const deadlineMs = nowMs() + WHOLE_MS_MAX;
  for (;;) {
    const there = new Set(await directoryKeys(redis));
    const missing = keys.filter((key) => !there.has(key));
    if (missing.length === 0 || nowMs() > deadlineMs) return missing;
    await sleep(POLL_MS);
  }
}

/** Settings, replicas, and leaders, since none of them had a reason to go. */
function isSame(before: Topic, after: Topic): boolean {
  const text = ({ topicId, settings, partitions }: Topic) =>
    JSON.stringify([
      topicId,
      String(settings?.retentionAge?.seconds),
      partitions.map(({ leaderId, leaderEpoch, replicas }) => [leaderId, leaderEpoch, replicas]),
    ]);
  return text(before) === text(after);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
