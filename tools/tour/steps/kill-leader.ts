import { setTimeout as sleep } from 'node:timers/promises';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import type { Topic } from '@partita/protocol';
import { acknowledgedAreKept, check, inOrderOfSending, longestGapMs } from '../checks.ts';
import type { Send } from '../checks.ts';
import type { Flight } from '../flights.ts';
import { nowMs } from '../member-report.ts';
import { readAll, tellSends } from '../sends-told.ts';
import { PARTITION_COUNT, REPLICA_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';
import { SteadySends } from '../steady-sends.ts';

/** Producing goes on for this long before the kill, and once everything is whole again. */
const CALM_MS = 700;
const WHOLE_MS_MAX = 40_000;
const POLL_MS = 50;

/**
 * Produces to a topic with three replicas, kills a broker that leads with SIGKILL, waits until the launcher has started it
 * again and it has caught up, and holds what can be read against what was acknowledged.
 */
export async function killLeader(stage: Stage, home: string, flights: readonly Flight[]): Promise<void> {
  const { client, terminal, checks, replicatedTopic: name } = stage;
  terminal.step('A broker dies: kill -9 in the middle of producing');
  await client.admin.createTopic({ name, partitionCount: PARTITION_COUNT, replicationFactor: REPLICA_COUNT });
  const before = await untilWhole(stage);
  if (!isWhole(before)) throw new Error(`the replicas of ${name} did not get in sync`);
  tellLeaders(stage, before, 'broker');
  const producing = new SteadySends({
    producer: client.producer(),
    topic: name,
    partitions: before.partitions,
    flights,
  });
  await sleep(CALM_MS);
  // Asked again: leaders may have moved since.
  const led = await client.admin.getTopic(name);
  const victim = led.partitions[0]?.leaderId ?? 0;
  const orphans = led.partitions.filter(({ leaderId }) => leaderId === victim);
  kill(home, victim);
  const killedMs = nowMs();
  terminal.line(`broker ${victim} is killed, which leads partitions ${numbers(orphans)}`);
  const after = await untilWhole(stage, orphans);
  const wholeMs = nowMs() - killedMs;
  await sleep(CALM_MS);
  await producing.stop();
  tellLeaders(stage, after, 'now broker');
  tellOutage(stage, producing.sends, { killedMs, orphans });
  terminal.line(`the broker is back and every replica in sync ${seconds(wholeMs)} after the kill`);
  const stored = await readAll(stage, name);
  tellSends(stage, producing.sends, stored);
  checks.push(
    acknowledgedAreKept('with its leader', producing.sends, stored),
    inOrderOfSending(stored),
    check('the killed broker came back, and every replica is in sync', isWhole(after), {
      yes: `${PARTITION_COUNT} partitions, ${REPLICA_COUNT} replicas each`,
      no: `after ${seconds(wholeMs)} in sync: ${after.partitions.map(({ inSyncIds }) => inSyncIds.length).join(', ')}`,
    }),
  );
}

/** As the ready-file of the cluster's launcher has its process; the launcher starts it again. */
function kill(home: string, brokerId: number): void {
  const pid = readReadyFile(home).brokers.find(({ id }) => id === brokerId)?.pid ?? 0;
  if (pid <= 1) throw new Error(`${home}/cluster.json has no process of broker ${brokerId}`);
  process.kill(pid, 'SIGKILL');
}

/** The topic once all its replicas are in sync and those of `orphans` have a later leader, or as it is when that takes too long. */
async function untilWhole({ client, replicatedTopic }: Stage, orphans: Topic['partitions'] = []): Promise<Topic> {
  const deadlineMs = nowMs() + WHOLE_MS_MAX;
  for (;;) {
    const topic = await client.admin.getTopic(replicatedTopic);
    const led = orphans.every(({ partition, leaderEpoch }) =>
      topic.partitions.some((now) => now.partition === partition && now.leaderEpoch > leaderEpoch),
    );
    if ((led && isWhole(topic)) || nowMs() > deadlineMs) return topic;
    await sleep(POLL_MS);
  }
}

function isWhole({ partitions }: Topic): boolean {
  return partitions.every(({ leaderId, inSyncIds }) => leaderId !== 0 && inSyncIds.length === REPLICA_COUNT);
}

function tellLeaders({ terminal }: Stage, { partitions }: Topic, who: 'broker' | 'now broker'): void {
  for (const broker of [...new Set(partitions.map(({ leaderId }) => leaderId))].sort((a, b) => a - b)) {
    terminal.line(
      `${who} ${broker} leads partitions ${numbers(partitions.filter(({ leaderId }) => leaderId === broker))}`,
    );
  }
}

/** How long the partitions of the dead leader acknowledged nothing. */
function tellOutage(
  { terminal }: Stage,
  sends: readonly Send[],
  { killedMs, orphans }: { readonly killedMs: number; readonly orphans: Topic['partitions'] },
): void {
  const outages = orphans.map(({ partition, leaderEpoch }) => {
    const acks = sends.flatMap(({ partition: of, outcome, atMs }) =>
      of === partition && typeof outcome === 'object' ? [{ epoch: outcome.leaderEpoch, atMs }] : [],
    );
    const goesOnMs = Math.min(...acks.filter(({ epoch }) => epoch > leaderEpoch).map(({ atMs }) => atMs));
    return { gapMs: longestGapMs(acks.map(({ atMs }) => atMs)), goesOnMs: goesOnMs - killedMs };
  });
  const [gapMs, goesOnMs] = [outages.map((outage) => outage.gapMs), outages.map((outage) => outage.goesOnMs)];
  terminal.line(
    `without a leader, as clients saw it: ${seconds(Math.max(...gapMs))} between two acknowledgements at most`,
  );
  terminal.line(
    `new leaders acknowledge ${seconds(Math.min(...goesOnMs))} to ${seconds(Math.max(...goesOnMs))} after the kill`,
  );
}

function numbers(partitions: Topic['partitions']): string {
  return partitions.map(({ partition }) => partition).join(', ');
}

function seconds(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : 'never';
}
