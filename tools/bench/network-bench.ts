/** `npm run bench`: throughput and latency of Partita beside raw gRPC with the same hops. */
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { progress, publish } from './bench-run.ts';
import type { BenchOptions, BenchRun } from './bench-run.ts';
import { LoadProcess, RawChain } from './child-process.ts';
import { chooseRows } from './choose-rows.ts';
import type { CleanUps } from './clean-ups.ts';
import { thisMachine } from './machine.ts';
import { headerOf, tablesOf } from './report.ts';
import type { RowReport, RunFacts } from './report.ts';
import { figuresOf, runRounds } from './rounds.ts';
import type { RowFigures } from './rounds.ts';
import { ROWS } from './rows.ts';
import type { Row } from './rows.ts';
import type { Sample } from './sample.ts';
import { BenchTopics } from './topics.ts';
import { BROKER_COUNT, WARM_UP_SECONDS } from './workload.ts';

export interface NetworkOptions extends BenchOptions {
  /** Addresses of a running cluster, by comma; undefined: one of its own is started. */
  readonly server?: string;
}

export async function benchNetwork({ options, cleanUps }: BenchRun<NetworkOptions>): Promise<void> {
  const rows = chooseRows(ROWS, options.rows);
  const { rounds, seconds, server } = options;
  const facts: RunFacts = { ...thisMachine(), rounds, seconds, server };
  const servers = server?.split(',') ?? (await ownCluster(cleanUps));
  const client: PartitaClient = await connect({ servers, clientId: 'partita-bench' });
  cleanUps.add(() => client.close());
  const topics = new BenchTopics(client.admin);
  cleanUps.add(() => topics.deleteAll());
  const chain = await RawChain.start();
  cleanUps.add(() => chain.stop());
  const ours = await LoadProcess.start({ kind: 'partita', servers });
  cleanUps.add(() => ours.stop());
  const raw = await LoadProcess.start({ kind: 'raw', relay: chain.relay, sinks: chain.sinks });
  cleanUps.add(() => raw.stop());
  const reports: RowReport[] = [];
  for (const row of rows) {
    progress(row.title);
    reports.push({ row, figures: await measure(options, row, topics, { ours, raw }) });
  }
  publish(options, {
    header: headerOf(facts),
    tables: tablesOf(reports),
    figures: { facts, rows: reports.map(({ row, figures }) => ({ name: row.name, ...figures })) },
  });
}

async function measure(
  options: BenchOptions,
  row: Row,
  topics: BenchTopics,
  { ours, raw }: { readonly ours: LoadProcess; readonly raw: LoadProcess },
): Promise<RowFigures> {
  const seconds = (warmUp: boolean): number => (warmUp ? Math.min(WARM_UP_SECONDS, options.seconds) : options.seconds);
  const onNewTopic = async (warmUp: boolean): Promise<Sample> => {
    const topic = await topics.create();
    const sample = await ours.run({ load: row.ours, topic, seconds: seconds(warmUp) });
    await topics.delete(topic);
    return sample;
  };
  const onFilledTopic = async (warmUp: boolean): Promise<Sample> => {
    const topic = await topics.filled((name) => ours.run({ load: 'fill', topic: name, seconds: 0 }));
    return ours.run({ load: row.ours, topic, seconds: seconds(warmUp) });
  };
  const pairs = await runRounds(options.rounds, {
    ours: row.topic === 'new' ? onNewTopic : onFilledTopic,
    raw: (warmUp) => raw.run({ load: row.raw, topic: '', seconds: seconds(warmUp) }),
  });
  return figuresOf(pairs);
}

async function ownCluster(cleanUps: CleanUps): Promise<readonly string[]> {
  progress('starting a cluster');
  const cluster = launchCluster({ purpose: 'bench', brokerCount: BROKER_COUNT });
  cleanUps.add(async () => {
    await cluster.stop();
    cluster.removeHome();
  });
  await cluster.untilReady();
  return cluster.servers;
}
