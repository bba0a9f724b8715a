/** `npm run bench -- partitions`: what it costs that the same records go to a thousand logs instead of a few. */
import { loadavg } from 'node:os';
import { connect, pause } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import { progress, publish } from '../bench-run.ts';
import type { BenchRun, ReportOptions } from '../bench-run.ts';
import { LoadProcess } from '../child-process.ts';
import { cpuTimeMs } from '../cpu-time.ts';
import { thisMachine } from '../machine.ts';
import { readMetrics, sumOf } from '../metrics-page.ts';
import { BenchTopics } from '../topics.ts';
import { BROKER_COUNT, PARTITION_COUNT, WARM_UP_SECONDS } from '../workload.ts';
import { idleText, partitionsHeader, partitionsTable, sideOf } from './report.ts';
import type { PartitionsFacts, PartitionsRun } from './report.ts';

const WRITES = 'partita_broker_log_write_duration_seconds';
const SYNCED = 'flush="fsync"';
const IDLE_SECONDS = 3;
const SAFETY = { replicationFactor: 3, flush: 'fsync' } as const;

export interface PartitionsOptions extends ReportOptions {
  readonly seconds: number;
  readonly rounds: number;
  /** Of the topic of many. */
  readonly partitions: number;
  /** Records a second, over all partitions. */
  readonly rate: number;
}

interface Running {
  /** Runs the load on a topic once. */
  readonly runOnce: (partitionCount: number, seconds: number) => Promise<PartitionsRun>;
  /** CPU milliseconds that the brokers spend in a second in which nobody sends anything. */
  readonly idleMs: () => Promise<number>;
}

export async function benchPartitions({ options, cleanUps }: BenchRun<PartitionsOptions>): Promise<void> {
  const { rounds, seconds, partitions, rate: ratePerSecond } = options;
  const facts: PartitionsFacts = {
    ...thisMachine(),
    rounds,
    seconds,
    ratePerSecond,
    loadAverage: loadavg()[0] ?? 0,
  };
  const { runOnce, idleMs } = await start({ options, cleanUps });
  const idleBrokersMs = await idleMs();
  const sides = { many: [] as PartitionsRun[], few: [] as PartitionsRun[] };
  for (const partitionCount of [partitions, PARTITION_COUNT]) await runOnce(partitionCount, WARM_UP_SECONDS);
  for (let round = 1; round <= rounds; round += 1) {
    progress(`round ${round}: ${partitions} partitions, then ${PARTITION_COUNT}`);
    sides.many.push(await runOnce(partitions, seconds));
    sides.few.push(await runOnce(PARTITION_COUNT, seconds));
  }
  const [many, few] = [sideOf(partitions, sides.many), sideOf(PARTITION_COUNT, sides.few)];
  publish(options, {
    header: partitionsHeader(facts),
    tables: `${partitionsTable(many, few)}\n${idleText(idleBrokersMs)}`,
    figures: { facts, many, few, idleBrokersMs },
  });
}

async function start({ options, cleanUps }: BenchRun<PartitionsOptions>): Promise<Running> {
  progress('starting a cluster');
  const cluster = launchCluster({ purpose: 'bench', brokerCount: BROKER_COUNT, metrics: true });
  cleanUps.add(async () => {
    await cluster.stop();
    cluster.removeHome();
  });
  await cluster.untilReady();
  const { servers, home } = cluster;
  const client = await connect({ servers, clientId: 'partita-bench' });
  cleanUps.add(() => client.close());
  const topics = new BenchTopics(client.admin);
  progress(`making ${options.partitions} partitions`);
  const names = new Map<number, string>();
  for (const partitionCount of [options.partitions, PARTITION_COUNT])
    names.set(partitionCount, await topics.create(SAFETY, partitionCount));
  const load = await LoadProcess.start({ kind: 'partita', servers });
  cleanUps.add(() => load.stop());
  const { pids, metrics = {} } = readReadyFile(home);
  const brokers = Object.entries(metrics).flatMap(([name, address]) => (name.startsWith('broker-') ? [address] : []));
  const spent = async () => ({
    ...(await synced(brokers)),
    clientMs: cpuTimeMs([load.pid]),
    gatewayMs: cpuTimeMs(pids.gateway),
    brokersMs: cpuTimeMs(pids.broker),
  });
  const runOnce = async (partitionCount: number, seconds: number): Promise<PartitionsRun> => {
    const spread = { partitionCount, ratePerSecond: options.rate };
    const before = await spent();
    const sample = await load.run({ load: 'spread', topic: names.get(partitionCount) ?? '', seconds, spread });
    const after = await spent();
    return {
      ...sample,
      syncedWrites: after.syncedWrites - before.syncedWrites,
      syncedWriteMs: after.syncedWriteMs - before.syncedWriteMs,
      clientMs: after.clientMs - before.clientMs,
      gatewayMs: after.gatewayMs - before.gatewayMs,
      brokersMs: after.brokersMs - before.brokersMs,
    };
  };
  const idleMs = async (): Promise<number> => {
    const before = cpuTimeMs(pids.broker);
    await pause(IDLE_SECONDS * 1000);
    return (cpuTimeMs(pids.broker) - before) / IDLE_SECONDS;
  };
  return { runOnce, idleMs };
}

/** Since the brokers began. */
async function synced(addresses: readonly string[]): Promise<{ syncedWrites: number; syncedWriteMs: number }> {
  const pages = await Promise.all(addresses.map(readMetrics));
  const total = (name: string): number => pages.reduce((sum, page) => sum + sumOf(page, name, SYNCED), 0);
  return { syncedWrites: total(`${WRITES}_count`), syncedWriteMs: total(`${WRITES}_sum`) * 1000 };
}
