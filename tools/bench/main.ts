/** `npm run bench`: throughput and latency of Partita beside raw gRPC with the same hops, as Markdown on stdout. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { Command, InvalidArgumentError } from 'commander';
import { LoadProcess, RawChain } from './child-process.ts';
import { headerOf, tablesOf } from './report.ts';
import type { RowReport, RunFacts } from './report.ts';
import { figuresOf, runRounds } from './rounds.ts';
import { chooseRows, ROWS } from './rows.ts';
import type { Row } from './rows.ts';
import type { Sample } from './sample.ts';
import { BenchTopics } from './topics.ts';
import { BROKER_COUNT, WARM_UP_SECONDS } from './workload.ts';

interface BenchOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly rows?: string;
  readonly server?: string;
  readonly json: boolean;
  readonly report?: string;
}

const options = new Command('npm run bench --')
  .description('Measures Partita beside raw gRPC with the same hops. Takes about two minutes.')
  .option('--seconds <n>', 'length of a run', positive, 2)
  .option('--rounds <n>', 'pairs of runs for each row', positive, 5)
  .option('--rows <names>', `some rows only, by comma: ${ROWS.map(({ name }) => name).join(', ')}`)
  .option('--server <addresses>', 'a running cluster, several addresses by comma; default: one of its own')
  .option('--json', 'prints figures as JSON instead of Markdown', false)
  .option('--report <file>', 'writes the Markdown to a file too')
  .parse()
  .opts<BenchOptions>();
/** Undone at the end, last first. */
const cleanUps: (() => Promise<void> | void)[] = [];
/** Set once the end has begun: what fails then fails because of it. */
const state = { leaving: false };
process.once('SIGINT', () => void leave(130));
process.once('SIGTERM', () => void leave(143));

try {
  await bench(chooseRows(options.rows));
  await leave(0);
} catch (error) {
  if (!state.leaving)
    process.stderr.write(`The bench stopped: ${error instanceof Error ? error.message : String(error)}\n`);
  await leave(1);
}

async function bench(rows: readonly Row[]): Promise<void> {
  const facts = runFacts();
  if (!options.json) process.stdout.write(`${headerOf(facts)}\n`);
  const servers = options.server?.split(',') ?? (await ownCluster());
  const client: PartitaClient = await connect({ servers, clientId: 'partita-bench' });
  cleanUps.push(() => client.close());
  const topics = new BenchTopics(client.admin);
  cleanUps.push(() => topics.deleteAll());
  const chain = await RawChain.start();
  cleanUps.push(() => chain.stop());
  const ours = await loadProcess({ kind: 'partita', servers });
  const raw = await loadProcess({ kind: 'raw', relay: chain.relay, sinks: chain.sinks });
  const reports: RowReport[] = [];
  for (const row of rows) {
    progress(row.title);
    reports.push({ row, figures: await measure(row, topics, ours, raw) });
  }
  publish(facts, reports);
}

async function measure(row: Row, topics: BenchTopics, ours: LoadProcess, raw: LoadProcess) {
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

async function ownCluster(): Promise<readonly string[]> {
  progress('starting a cluster');
  const cluster = launchCluster({ purpose: 'bench', brokerCount: BROKER_COUNT });
  cleanUps.push(async () => {
    await cluster.stop();
    cluster.removeHome();
  });
  await cluster.untilReady();
  return cluster.servers;
}

async function loadProcess(target: Parameters<typeof LoadProcess.start>[0]): Promise<LoadProcess> {
  const load = await LoadProcess.start(target);
  cleanUps.push(() => load.stop());
  return load;
}

function publish(facts: RunFacts, reports: readonly RowReport[]): void {
  const tables = tablesOf(reports);
  if (options.report !== undefined) writeFileSync(options.report, `${headerOf(facts)}\n${tables}`);
  if (!options.json) process.stdout.write(tables);
  else {
    const rows = reports.map(({ row, figures }) => ({ name: row.name, ...figures }));
    process.stdout.write(`${JSON.stringify({ facts, rows })}\n`);
  }
}

function runFacts(): RunFacts {
  const manifest: unknown = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
  return {
    date: new Date().toISOString().slice(0, 10),
    version: (manifest as { readonly version: string }).version,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    coreCount: cpus().length,
    memoryBytes: totalmem(),
    rounds: options.rounds,
    seconds: options.seconds,
    server: options.server,
  };
}

/** To stderr: stdout is the report. */
function progress(text: string): void {
  process.stderr.write(`… ${text}\n`);
}

/** Cleans up and ends the process; a second call leaves that to the first. */
async function leave(exitCode: number): Promise<void> {
  if (state.leaving) return;
  state.leaving = true;
  for (const cleanUp of cleanUps.splice(0).reverse()) {
    try {
      await cleanUp();
    } catch (error) {
      process.stderr.write(`While cleaning up: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  process.exit(exitCode);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('expected a number above 0');
  return value;
}
