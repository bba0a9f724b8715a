/** `npm run bench -- replication`: what replicas and their disks cost, and how far replication is from raw gRPC. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import { progress, publish } from '../bench-run.ts';
import type { BenchOptions, BenchRun } from '../bench-run.ts';
import { LoadProcess } from '../child-process.ts';
import { chooseRows } from '../choose-rows.ts';
import type { CleanUps } from '../clean-ups.ts';
import { thisMachine } from '../machine.ts';
import { RawReplicas } from '../peers/raw-replicas.ts';
import { figuresOf, median, runRounds } from '../rounds.ts';
import type { Sample } from '../sample.ts';
import { BenchTopics } from '../topics.ts';
import { BROKER_COUNT, WARM_UP_SECONDS } from '../workload.ts';
import { cpuTimeMs } from '../cpu-time.ts';
import { replicationHeader, replicationTables } from './report.ts';
import type { ReplicationFacts, ReplicationReport } from './report.ts';
import { REPLICATION_ROWS } from './rows.ts';
import type { ReplicationRow, ReplicationSide } from './rows.ts';

/** One kind of servers with its load generator. */
interface Servers {
  readonly pids: readonly number[];
  run(side: ReplicationSide, seconds: number): Promise<MeteredSample>;
}

type ServersName = 'ours' | 'raw' | 'raw with disks';
type AllServers = Readonly<Record<ServersName, Servers>>;

interface MeteredSample extends Sample {
  readonly cpuMs: number;
}

export async function benchReplication({ options, cleanUps }: BenchRun): Promise<void> {
  const rows = chooseRows(REPLICATION_ROWS, options.rows);
  const { rounds, seconds } = options;
  const facts: ReplicationFacts = { ...thisMachine(), rounds, seconds };
  const servers = await startServers(cleanUps);
  const reports: ReplicationReport[] = [];
  for (const row of rows) {
    progress(`${row.measured.name}, against ${row.against.name}`);
    reports.push(await measure(options, row, servers));
  }
  publish(options, {
    header: replicationHeader(facts),
    tables: replicationTables(reports),
    figures: { facts, rows: reports.map(({ row, ...report }) => ({ name: row.name, ...report })) },
  });
}

async function measure(
  { rounds, seconds }: BenchOptions,
  row: ReplicationRow,
  servers: AllServers,
): Promise<ReplicationReport> {
  const costs = { measured: [] as number[], against: [] as number[] };
  const side = (name: 'measured' | 'against') => async (warmUp: boolean) => {
    const runSeconds = warmUp ? Math.min(WARM_UP_SECONDS, seconds) : seconds;
    const sample = await servers[serversOf(row[name])].run(row[name], runSeconds);
    if (!warmUp) costs[name].push((sample.cpuMs * 1e6) / sample.bytes);
    return sample;
  };
  const pairs = await runRounds(rounds, { ours: side('measured'), raw: side('against') });
  const cpuMsPerMb = { measured: median(costs.measured), against: median(costs.against) };
  return { row, figures: figuresOf(pairs), cpuMsPerMb };
}

function serversOf({ on }: ReplicationSide): ServersName {
  return typeof on === 'object' ? 'ours' : on;
}

/** All of them, so that what does not run costs every row the same. */
async function startServers(cleanUps: CleanUps): Promise<AllServers> {
  const ours = await startCluster(cleanUps);
  const folder = mkdtempSync(join(tmpdir(), 'partita-bench-raw-'));
  cleanUps.add(() => rmSync(folder, { recursive: true }));
  return { ours, raw: await startRaw(cleanUps), 'raw with disks': await startRaw(cleanUps, folder) };
}

async function startCluster(cleanUps: CleanUps): Promise<Servers> {
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
  const topics = new BenchTopics(client.admin);
  cleanUps.add(() => topics.deleteAll());
  const load = await LoadProcess.start({ kind: 'partita', servers });
  cleanUps.add(() => load.stop());
  const pids = readReadyFile(home).pids.broker;
  return {
    pids,
    run: async ({ on }, seconds) => {
      if (typeof on !== 'object') throw new Error(`no topics: ${on}`);
      const topic = await topics.create(on);
      const sample = await metered(pids, () => load.run({ load: 'append-direct', topic, seconds }));
      await topics.delete(topic);
      return sample;
    },
  };
}

async function startRaw(cleanUps: CleanUps, folder?: string): Promise<Servers> {
  const replicas = await RawReplicas.start(folder);
  cleanUps.add(() => replicas.stop());
  const load = await LoadProcess.start({ kind: 'raw', sinks: replicas.addresses });
  cleanUps.add(() => load.stop());
  const { pids } = replicas;
  return {
    pids,
    run: (_side, seconds) => metered(pids, () => load.run({ load: 'push-direct', topic: '', seconds })),
  };
}

async function metered(pids: readonly number[], run: () => Promise<Sample>): Promise<MeteredSample> {
  const beforeMs = cpuTimeMs(pids);
  const sample = await run();
  return { ...sample, cpuMs: cpuTimeMs(pids) - beforeMs };
}
