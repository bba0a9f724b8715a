/** `npm run bench -- consume`: the SDK's consumer in its three forms: throughput, cold and cached, scaling, latency. */
import { connect } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { progress, publish } from '../bench-run.ts';
import type { BenchOptions, BenchRun } from '../bench-run.ts';
import { LoadProcess, RawChain } from '../child-process.ts';
import { chooseRows } from '../choose-rows.ts';
import { mergedPercentiles } from '../latencies.ts';
import { thisMachine } from '../machine.ts';
import { figuresOf, runRounds } from '../rounds.ts';
import type { Sample } from '../sample.ts';
import { BROKER_COUNT, WARM_UP_SECONDS } from '../workload.ts';
import { ConsumeTopics } from './consume-topics.ts';
import { coldFault, dropFromPageCache } from './page-cache.ts';
import { consumeHeader, consumeTables } from './report.ts';
import type { LatencyReport, SkippedRow, ThroughputReport } from './report.ts';
import { CONSUME_ROWS } from './rows.ts';
import type { ConsumeSide, LatencyRow, ThroughputRow } from './rows.ts';

interface Servers {
  readonly topics: ConsumeTopics;
  /** Of the brokers. */
  readonly home: string;
  readonly ours: LoadProcess;
  readonly raw: LoadProcess;
}

export async function benchConsume({ options, cleanUps }: BenchRun): Promise<void> {
  const rows = chooseRows(CONSUME_ROWS, options.rows);
  const { rounds, seconds } = options;
  const facts = { ...thisMachine(), rounds, seconds };
  const servers = await start(cleanUps);
  const cold = coldFault();
  const throughput: ThroughputReport[] = [];
  const skipped: SkippedRow[] = [];
  const latencyRows: LatencyRow[] = [];
  for (const row of rows) {
    if (row.kind === 'latency') {
      latencyRows.push(row);
      continue;
    }
    if ('isCold' in row.measured && cold !== undefined) {
      skipped.push({ name: row.name, why: cold });
      continue;
    }
    progress(`${row.measured.name}, against ${row.against.name}`);
    throughput.push({ row, figures: await measure(options, row, servers) });
  }
  const latency = await measureLatencies(options, latencyRows, servers);
  publish(options, {
    header: consumeHeader(facts),
    tables: consumeTables({ throughput, latency, skipped }),
    figures: {
      facts,
      throughput: throughput.map(({ row, figures }) => ({ name: row.name, ...figures })),
      latency: latency.map(({ row, ...figures }) => ({ name: row.name, ...figures })),
      skipped,
    },
  });
}

async function start(cleanUps: BenchRun['cleanUps']): Promise<Servers> {
  progress('starting a cluster');
  const cluster = launchCluster({ purpose: 'bench', brokerCount: BROKER_COUNT });
  cleanUps.add(async () => {
    await cluster.stop();
    cluster.removeHome();
  });
  await cluster.untilReady();
  const { servers, home } = cluster;
  const client = await connect({ servers, clientId: 'partita-bench' });
  cleanUps.add(() => client.close());
  const topics = new ConsumeTopics(client.admin);
  cleanUps.add(() => topics.deleteAll());
  const chain = await RawChain.start();
  cleanUps.add(() => chain.stop());
  const ours = await LoadProcess.start({ kind: 'partita', servers });
  cleanUps.add(() => ours.stop());
  const raw = await LoadProcess.start({ kind: 'raw', relay: chain.relay, sinks: chain.sinks });
  cleanUps.add(() => raw.stop());
  return { topics, home, ours, raw };
}

async function measure({ rounds, seconds }: BenchOptions, row: ThroughputRow, servers: Servers) {
  const side = (one: ConsumeSide) => (warmUp: boolean) =>
    runSide(one, warmUp ? Math.min(WARM_UP_SECONDS, seconds) : seconds, servers);
  return figuresOf(await runRounds(rounds, { ours: side(row.measured), raw: side(row.against) }));
}

async function runSide(side: ConsumeSide, seconds: number, { topics, home, ours, raw }: Servers): Promise<Sample> {
  if ('raw' in side) return raw.run({ load: side.raw, topic: '', seconds });
  const { work } = side;
  const topic = await topics.filled(work, (name) => ours.run({ load: 'fill', topic: name, seconds: 0, consume: work }));
  if (side.isCold === true) dropFromPageCache(home);
  return ours.run({ load: 'consume-sdk', topic, seconds, consume: work });
}

/** The forms in turn, round by round, on one topic; percentiles over the records of all rounds. */
async function measureLatencies(
  { rounds, seconds }: BenchOptions,
  rows: readonly LatencyRow[],
  { topics, ours }: Servers,
): Promise<LatencyReport[]> {
  const [first] = rows;
  if (first === undefined) return [];
  const topic = await topics.create(first.work.partitionCount);
  const samples = new Map<LatencyRow, Sample[]>(rows.map((row) => [row, []]));
  for (let round = -1; round < rounds; round += 1) {
    for (const row of rows) {
      progress(`latency, ${row.title}`);
      const sample = await ours.run({ load: 'latency', topic, seconds: 2 * seconds, consume: row.work });
      // The first round of each is thrown away.
      if (round >= 0) samples.get(row)?.push(sample);
    }
  }
  return [...samples].map(([row, all]) => ({
    row,
    recordCount: all.reduce((sum, { recordCount }) => sum + recordCount, 0),
    latencyMs: mergedPercentiles(all.flatMap(({ latencies }) => latencies ?? [])),
  }));
}
