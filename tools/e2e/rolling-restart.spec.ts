/**
 * Every service of a cluster is stopped and started again under load, as for an upgrade: whoever retries as it is told sees no
 * error, nothing is lost, and nothing of a session is stored twice. Leaders are moved before their brokers stop, and go back.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterServiceService, UpdateClusterSettingsRequest } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { leaderlessTimes } from '@partita/tool-history/leaderless.ts';
import type { HistoryEvent } from '@partita/tool-history/history.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { activeCoordinator, ReplicatedTopic } from './replicated.ts';
import { redisBinary } from './redis-binary.ts';
import { RollingRestart } from './rolling-restart.ts';
import { LONG } from './root.ts';
import { SteadyConsumer } from './steady-consumer.ts';
import { until } from './until.ts';
import { WatchedGroup } from './watched-group.ts';
import { WatchedProducers } from './watched-producers.ts';

const PARTITION_COUNT = LONG ? 24 : 6;
const CLIENT_COUNT = LONG ? 2 : 1;
const ROUND_COUNT = LONG ? 5 : 1;
const MOVE_COUNT = LONG ? 60 : 12;
const TEST_MS_MAX = LONG ? 900_000 : 180_000;
/** What a controlled move may cost; the longest of many only on a machine that is not busy with other suites. */
const LEADERLESS_MS_MAX = 500;
/** A third of it is led by each broker. */
const MANY_COUNT = 3000;
const MANY_TOPIC_COUNT = 5;
const HAND_OVER_SECONDS_MAX = 15;
const hasRedis = typeof (await redisBinary()) !== 'string';
let cluster: Cluster;
beforeAll(async () => {
  const coordinators = hasRedis ? ['--coordinators', '2'] : [];
  cluster = await startCluster({ args: ['--gateways', '2', '--consumer-groups', '2', ...coordinators] });
});
afterAll(() => cluster.dispose());

/** Sends of sessions and of requests that had no good end. */
function failuresOf(history: readonly HistoryEvent[]): string[] {
  const open = new Map<string, string>();
  for (const event of history) {
    if (event.f !== 'send') continue;
    const { type, session, requestId, op, error } = event;
    const name = requestId ?? (session === undefined ? '' : String(op));
    if (name === '') continue;
    if (type === 'ok') open.set(name, '');
    else if (open.get(name) !== '') open.set(name, error ?? 'no answer');
  }
  return [...open].filter(([, error]) => error !== '').map(([name, error]) => `${name}: ${error}`);
}

function tellTimes(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  figure('rolling', `${what}: changes of a leader under load`, sorted.length);
  figure('rolling', `${what}: ms without a leader, median`, sorted[Math.floor(sorted.length / 2)] ?? 0);
  figure('rolling', `${what}: ms without a leader, longest`, sorted.at(-1) ?? 0);
}

/** The line with which a broker told how it gave up its leaders last. */
function handOverLine(brokerId: number): { readonly left: number; readonly duration_ms: number } {
  const log = readFileSync(join(cluster.home, 'logs', `broker-${brokerId}.log`), 'utf8');
  const line = log.split('\n').findLast((text) => text.includes('"broker leads nothing"'));
  return JSON.parse(line ?? '{}') as ReturnType<typeof handOverLine>;
}

describe('under a checked history', () => {
  it(
    'every service is restarted in turn, and whoever retries sees no error',
    async () => {
      const producers = new WatchedProducers(() => cluster, 'rolled', PARTITION_COUNT, { clientCount: CLIENT_COUNT });
      const group = new WatchedGroup(() => cluster, 'rolling', PARTITION_COUNT);
      await group.create();
      const rolling = new RollingRestart(() => cluster, [producers.topic, group.topic]);
      let isOver = (): void => undefined;
      const over = new Promise<void>((resolve) => (isOver = resolve));
      const grouped = group.workDuring('everything restarted', () => over);
      const produced = producers.workDuring('everything restarted', async () => {
        const before = await rolling.leaderCounts();
        const consumer = await SteadyConsumer.start(producers.topic.endpoints, 'rolled', 'rolled');
        for (let round = 0; round < ROUND_COUNT; round += 1) await rolling.everything();
        await rolling.untilLeadersAre(before);
        await consumer.stop();
        expect(consumer.errors).toEqual([]);
        expect(consumer.handledCount).toBeGreaterThan(500);
      });
      const [{ history, report }] = await Promise.all([produced.finally(isOver), grouped]);
      expect(failuresOf(history)).toEqual([]);
      expect(report.refusedCount).toBe(0);
      figure('rolling', 'rounds', ROUND_COUNT);
      figure('rolling', 'sends of sessions and requests that failed after retries', failuresOf(history).length);
      figure('rolling', 'longest restart of a broker, s', rolling.brokerSecondsMax);
      tellTimes(
        'restarts',
        leaderlessTimes(history).map(({ ms }) => ms),
      );
    },
    TEST_MS_MAX,
  );

  it(
    `a leader that is moved by wish is missed for less than ${LEADERLESS_MS_MAX} ms`,
    async () => {
      const producers = new WatchedProducers(() => cluster, 'moved', PARTITION_COUNT, { clientCount: CLIENT_COUNT });
      const { history } = await producers.workDuring('leaders moved', async () => {
        await sleep(3000);
        const api = new Api(cluster);
        // Leaders would go back to where they are preferred, and meet the moves.
        const still = UpdateClusterSettingsRequest.fromPartial({ autoBalance: false });
        const active = api.pool.client(await activeCoordinator(api, cluster));
        await callUnary(active, ClusterServiceService.updateClusterSettings, still);
        for (let move = 0; move < MOVE_COUNT; move += 1) {
          const partition = move % PARTITION_COUNT;
          // Broker 0, the wish for the preferred leader, would be answered with the leader that there is.
          const brokerId = await until('a successor in sync', 10, async () => {
            const { leaderId, inSyncIds } = await api.partition('moved', partition);
            return inSyncIds.find((id) => id !== leaderId);
          });
          const request = { partitions: [{ topic: 'moved', partition }], brokerId };
          // Refused while its replica lags behind on a busy machine: to be asked again.
          await until('the leader to move', 10, async () => {
            const client = api.pool.client(await activeCoordinator(api, cluster));
            const { results } = await callUnary(client, ClusterServiceService.electLeaders, request);
            expect(results).toMatchObject([{ leaderId: brokerId, errorReason: '' }]);
            return true;
          });
        }
        api.close();
      });
      expect(failuresOf(history)).toEqual([]);
      const times = leaderlessTimes(history).map(({ ms }) => ms);
      tellTimes('moves by wish', times);
      expect(times.length).toBeGreaterThanOrEqual(MOVE_COUNT);
      const sorted = times.toSorted((a, b) => a - b);
      expect((LONG ? sorted.at(-1) : sorted[Math.floor(sorted.length / 2)]) ?? Infinity).toBeLessThan(
        LEADERLESS_MS_MAX,
      );
    },
    TEST_MS_MAX,
  );
});

describe('a broker that leads a thousand partitions', () => {
  it.runIf(LONG)(
    `hands them over in less than ${HAND_OVER_SECONDS_MAX} s`,
    async () => {
      const count = MANY_COUNT / MANY_TOPIC_COUNT;
      const topics = Array.from(
        { length: MANY_TOPIC_COUNT },
        (_, number) => new ReplicatedTopic(() => cluster, 'rolling', `many-${number}`, count),
      );
      for (const topic of topics) await topic.create();
      const { pid = 0, id = 0 } = cluster.file.brokers[0] ?? {};
      await new RollingRestart(() => cluster, topics).restart(pid);
      const { left, duration_ms } = handOverLine(id);
      figure('rolling', `leaders of ${MANY_COUNT / 3} partitions and more handed over in s`, duration_ms / 1000);
      expect(left).toBe(0);
      expect(duration_ms / 1000).toBeLessThan(HAND_OVER_SECONDS_MAX);
    },
    TEST_MS_MAX,
  );
});
