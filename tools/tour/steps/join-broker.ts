import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerDescription } from '@partita/protocol';
import { acknowledgedAreKept, check, inOrderOfSending, longestGapMs } from '../checks.ts';
import type { Flight } from '../flights.ts';
import { nowMs } from '../member-report.ts';
import { readAll, tellSends } from '../sends-told.ts';
import { PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';
import { SteadySends } from '../steady-sends.ts';

const LAUNCHER = fileURLToPath(import.meta.resolve('@partita/tool-dev/main.ts'));
const CALM_MS = 700;
const EVEN_MS_MAX = 60_000;
const POLL_MS = 50;

/** One more broker joins in the middle of producing and takes its share; then it is emptied, stopped and forgotten again. */
export async function joinBroker(stage: Stage, home: string, flights: readonly Flight[]): Promise<void> {
  const { client, terminal, checks, growingTopic: name } = stage;
  terminal.step('Another broker joins, takes its share, and leaves again');
  const { partitions } = await client.admin.createTopic({ name, partitionCount: PARTITION_COUNT });
  const before = await describeBrokers(stage);
  const id = Math.max(...before.map(idOf)) + 1;
  const producing = new SteadySends({ producer: client.producer(), topic: name, partitions, flights });
  await sleep(CALM_MS);
  const joinedMs = nowMs();
  const newcomer = join(home, id);
  try {
    const even = await untilBrokers(stage, (brokers) => brokers.length > before.length && isEven(brokers));
    terminal.line(`broker ${id} joined; ${seconds(nowMs() - joinedMs)} later each has its share:`);
    for (const broker of even)
      terminal.line(`   broker ${idOf(broker)}: ${broker.replicaCount} replicas, leads ${broker.leaderCount}`);
    const drainedMs = nowMs();
    await client.admin.drainBroker(id);
    const isEmpty = (broker: BrokerDescription) =>
      idOf(broker) !== id || broker.replicaCount + broker.leaderCount === 0;
    const emptied = await untilBrokers(stage, (brokers) => brokers.every(isEmpty));
    terminal.line(`broker ${id} was emptied in ${seconds(nowMs() - drainedMs)}`);
    await stop(newcomer);
    const after = await untilForgotten(stage, id);
    await sleep(CALM_MS);
    await producing.stop();
    const acksMs = producing.sends.flatMap(({ outcome, atMs }) => (typeof outcome === 'object' ? [atMs] : []));
    terminal.line(`between two acknowledgements clients waited ${seconds(longestGapMs(acksMs))} at most`);
    const stored = await readAll(stage, name);
    tellSends(stage, producing.sends, stored);
    checks.push(
      acknowledgedAreKept('while replicas moved', producing.sends, stored),
      inOrderOfSending(stored),
      check('nothing that was sent failed while they moved', producing.sends.length === acksMs.length, {
        yes: `${producing.sends.length} sent, all acknowledged`,
        no: `${producing.sends.length - acksMs.length} of ${producing.sends.length} failed`,
      }),
      check('brokers had as many replicas and leaders as each other, to one', isEven(even), told(even)),
      check(
        'and the one that was emptied is gone',
        emptied.every(isEmpty) && after.length === before.length,
        told(after),
      ),
    );
  } finally {
    await producing.stop();
    await stop(newcomer);
  }
}

/** As a user does in a second terminal: `npm start -- --join ID`. */
function join(home: string, id: number): ChildProcess {
  const args = [LAUNCHER, '--home', home, '--join', String(id), '--log-level', 'warn'];
  // Detached: Ctrl-C reaches the tour alone, which stops the broker.
  return spawn(process.execPath, args, { stdio: 'ignore', detached: true });
}

async function stop(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => process.once('exit', () => resolve()));
  process.kill('SIGTERM');
  await ended;
}

async function describeBrokers({ client }: Stage): Promise<BrokerDescription[]> {
  return (await client.admin.describeCluster()).brokers;
}

/** The brokers as soon as they are as wanted, or as they are when that takes too long. */
async function untilBrokers(
  stage: Stage,
  holds: (brokers: readonly BrokerDescription[]) => boolean,
): Promise<BrokerDescription[]> {
  const deadlineMs = nowMs() + EVEN_MS_MAX;
  for (;;) {
    const brokers = await describeBrokers(stage);
    if (holds(brokers) || nowMs() > deadlineMs) return brokers;
    await sleep(POLL_MS);
  }
}

/** The brokers once the one that has stopped could be removed, which takes until the coordinator has noticed. */
function untilForgotten(stage: Stage, id: number): Promise<BrokerDescription[]> {
  const { admin } = stage.client;
  return untilBrokers(stage, (brokers) => {
    const isThere = brokers.some((broker) => idOf(broker) === id);
    if (isThere) void admin.removeBroker(id).catch(() => undefined);
    return !isThere;
  });
}

function isEven(brokers: readonly BrokerDescription[]): boolean {
  return [brokers.map(({ replicaCount }) => replicaCount), brokers.map(({ leaderCount }) => leaderCount)].every(
    (counts) => Math.max(...counts) - Math.min(...counts) <= 1,
  );
}

function told(brokers: readonly BrokerDescription[]): { readonly yes: string; readonly no: string } {
  const text = brokers
    .map((broker) => `broker ${idOf(broker)} ${broker.replicaCount}/${broker.leaderCount}`)
    .join(', ');
  return { yes: text, no: text };
}

function idOf({ broker }: BrokerDescription): number {
  return broker?.brokerId ?? 0;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
