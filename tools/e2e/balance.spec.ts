/**
 * A fourth broker joins a cluster under work, takes its share of replicas and leaders, is emptied again, stopped and forgotten.
 * The history of the work must be clean, and no send may have failed: what was refused was tried again. In its short form that is
 * a step of the tour (tour.spec.ts); here are rounds of it, with more partitions.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import type { BrokerDescription } from '@partita/protocol';
import type { HistoryEvent } from '@partita/tool-history/history.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { figure } from './figures.ts';
import { launch, startCluster } from './harness.ts';
import type { Cluster, Launcher } from './harness.ts';
import { ReplicatedTopic } from './replicated.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

const PARTITION_COUNT = 60;
/** Work before and between, to compare with. */
const CALM_MS = 30_000;
const ROUND_COUNT = 3;
const JOINED_ID = 4;

let cluster: Cluster;
let client: PartitaClient;
const joined: Launcher[] = [];

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  client = await connect({ servers: [cluster.addresses.gateway, cluster.addresses.coordinator] });
});
afterAll(async () => {
  await client.close();
  for (const launcher of joined) if (launcher.child.exitCode === null) launcher.child.kill('SIGKILL');
  await cluster.dispose();
});

it.runIf(LONG)(
  'brokers come and go under work, and each time all have as much as the others (long form only)',
  async () => {
    const topic = new ReplicatedTopic(() => cluster, 'balance', 'balance', PARTITION_COUNT);
    await topic.create();
    const calm: Window[] = [];
    const joining: Window[] = [];
    const draining: Window[] = [];
    let events: readonly HistoryEvent[] = [];
    const verdict = await topic.workDuring('3 to 4 to 3 brokers', async (recorder) => {
      ({ events } = recorder);
      for (let round = 0; round < ROUND_COUNT; round += 1) {
        calm.push(await timed(() => sleep(CALM_MS)));
        joining.push(await timed(joinAndEvenOut));
        calm.push(await timed(() => sleep(CALM_MS)));
        draining.push(await timed(drain));
        await stopAndRemove();
      }
    });
    expect([verdict.failedCount, verdict.unknownCount]).toEqual([0, 0]);
    const report = (name: string, windows: readonly Window[]) => {
      const latencies = ackLatencies(events, windows);
      expect(latencies.length).toBeGreaterThan(50);
      for (const share of [0.5, 0.99])
        figure('balance', `p${share * 100} of acks ${name}, ms`, quantile(latencies, share));
    };
    figure('balance', 'even after a broker joined, s', Math.max(...joining.map(({ seconds }) => seconds)));
    figure('balance', 'broker emptied, s', Math.max(...draining.map(({ seconds }) => seconds)));
    report('while nothing moves', calm);
    report('while a broker joins', joining);
    report('while a broker is emptied', draining);
  },
  1_200_000,
);

interface Window {
  readonly fromMs: number;
  readonly toMs: number;
  readonly seconds: number;
}

async function timed(happening: () => Promise<unknown>): Promise<Window> {
  const fromMs = performance.now();
  await happening();
  const toMs = performance.now();
  return { fromMs, toMs, seconds: (toMs - fromMs) / 1000 };
}

async function joinAndEvenOut(): Promise<void> {
  const launcher = await launch({ home: cluster.home, args: ['--join', String(JOINED_ID)] });
  joined.push(launcher);
  await until('the fourth broker to join', 40, () => launcher.output.includes('has joined'));
  await until('all brokers to have as much', 300, async () => {
    const brokers = await described();
    return brokers.length === 4 && isEven(brokers, 'replicaCount') && isEven(brokers, 'leaderCount');
  });
}

async function drain(): Promise<void> {
  await client.admin.drainBroker(JOINED_ID);
  await until('the fourth broker to be empty', 300, async () => {
    const broker = (await described()).find((found) => found.broker?.brokerId === JOINED_ID);
    return broker?.replicaCount === 0 && broker.leaderCount === 0;
  });
}

async function stopAndRemove(): Promise<void> {
  const refused = client.admin.removeBroker(JOINED_ID);
  await expect(refused).rejects.toMatchObject({ reason: 'BROKER_NOT_EMPTY' });
  const launcher = joined.at(-1);
  launcher?.child.kill('SIGTERM');
  expect(await launcher?.ended).toMatchObject({ code: 0 });
  await until('the broker to be down and forgotten', 20, async () => {
    await client.admin.removeBroker(JOINED_ID);
    return true;
  });
  const brokers = await described();
  expect(brokers.map(({ broker }) => broker?.brokerId)).toEqual([1, 2, 3]);
  expect(isEven(brokers, 'replicaCount')).toBe(true);
}

async function described(): Promise<BrokerDescription[]> {
  return (await client.admin.describeCluster()).brokers;
}

function isEven(brokers: readonly BrokerDescription[], what: 'replicaCount' | 'leaderCount'): boolean {
  const counts = brokers.map((broker) => broker[what]);
  return Math.max(...counts) - Math.min(...counts) <= 1;
}

/** Of the sends that were acknowledged in one of the windows, milliseconds, rising. */
function ackLatencies(events: readonly HistoryEvent[], windows: readonly Window[]): number[] {
  const invokedMs = new Map<number, number>();
  const latencies: number[] = [];
  for (const { f, type, op, tMonoMs } of events) {
    if (f !== 'send') continue;
    if (type === 'invoke') invokedMs.set(op, tMonoMs);
    const isInside = windows.some(({ fromMs, toMs }) => tMonoMs >= fromMs && tMonoMs < toMs);
    if (type === 'ok' && isInside) latencies.push(tMonoMs - (invokedMs.get(op) ?? tMonoMs));
  }
  return latencies.sort((a, b) => a - b);
}

function quantile(rising: readonly number[], share: number): number {
  return rising[Math.min(rising.length - 1, Math.floor(rising.length * share))] ?? 0;
}
