/** `npm run bench -- merge`: what it gives that a gateway puts the records of many simple clients into shared batches. */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { connect, pause } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { OwnGateway } from '@partita/tool-dev/own-gateway.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import { progress, publish } from '../bench-run.ts';
import type { BenchRun } from '../bench-run.ts';
import type { CleanUps } from '../clean-ups.ts';
import { cpuTimeMs } from '../cpu-time.ts';
import { thisMachine } from '../machine.ts';
import { BenchTopics } from '../topics.ts';
import { BROKER_COUNT } from '../workload.ts';
import { ClientProcesses } from './client-process.ts';
import { sideFigures } from './figures.ts';
import type { MergeRun } from './figures.ts';
import { checkOpenFiles } from './options.ts';
import type { MergeOptions } from './options.ts';
import { mergeHeader, mergeTable } from './report.ts';
import type { MergeFacts } from './report.ts';

const WARM_UP_MS = 2000;
const MEMORY_LOOK_MS = 250;

interface Side {
  readonly gateway: OwnGateway;
  readonly brokerPids: readonly number[];
  readonly clients: ClientProcesses;
  readonly topic: string;
}

export async function benchMerge({ options, cleanUps }: BenchRun<MergeOptions>): Promise<void> {
  const { connections, seconds, rounds, processes } = options;
  checkOpenFiles(connections);
  const facts: MergeFacts = {
    ...thisMachine(),
    ...{ connections, seconds, rounds, processes },
    loadAverage: loadavg()[0] ?? 0,
  };
  const { on, off } = await startSides(options, cleanUps);
  const runs: { readonly on: MergeRun[]; readonly off: MergeRun[] } = { on: [], off: [] };
  for (let round = 1; round <= rounds; round += 1) {
    progress(`round ${round} of ${rounds}: merging on`);
    runs.on.push(await measure(on, options));
    progress(`round ${round} of ${rounds}: merging off`);
    runs.off.push(await measure(off, options));
  }
  const sides = { on: sideFigures(runs.on), off: sideFigures(runs.off) };
  publish(options, { header: mergeHeader(facts), tables: mergeTable(sides), figures: { facts, ...sides } });
}

async function startSides(
  { processes }: MergeOptions,
  cleanUps: CleanUps,
): Promise<{ readonly on: Side; readonly off: Side }> {
  progress('starting a cluster');
  const cluster = launchCluster({ purpose: 'bench', brokerCount: BROKER_COUNT });
  cleanUps.add(async () => {
    await cluster.stop();
    cluster.removeHome();
  });
  await cluster.untilReady();
  const { coordinatorPeers, pids } = readReadyFile(cluster.home);
  const client = await connect({ servers: cluster.servers, clientId: 'partita-bench' });
  cleanUps.add(() => client.close());
  const topic = await new BenchTopics(client.admin).create({ replicationFactor: BROKER_COUNT, flush: 'fsync' });
  const clients = await ClientProcesses.start(processes);
  cleanUps.add(() => clients.stop());
  const sideOf = async (merge: 'on' | 'off'): Promise<Side> => {
    const gateway = await OwnGateway.start({ coordinatorPeers, args: ['--merge', merge] });
    cleanUps.add(() => gateway.stop());
    return { gateway, brokerPids: pids.broker, clients, topic };
  };
  return { on: await sideOf('on'), off: await sideOf('off') };
}

/** Opens the connections, lets the clients work, and looks at the processes meanwhile. */
async function measure(side: Side, { connections, seconds }: MergeOptions): Promise<MergeRun> {
  const { gateway, clients, topic } = side;
  await clients.open(gateway.address, topic, connections);
  const running = clients.run(WARM_UP_MS, seconds);
  await pause(WARM_UP_MS);
  const before = await look(side);
  const residentBytes: number[] = [];
  const untilMs = performance.now() + seconds * 1000;
  while (performance.now() < untilMs) {
    residentBytes.push(residentBytesOf(gateway.pid));
    await pause(Math.max(0, Math.min(MEMORY_LOOK_MS, untilMs - performance.now())));
  }
  const after = await look(side);
  const { counts, errors } = await running;
  await clients.close();
  return {
    ...{ seconds, counts, errors, residentBytes },
    batchedRecordCount: after.recordCount - before.recordCount,
    batchCount: after.batchCount - before.batchCount,
    brokersCpuMs: after.brokersCpuMs - before.brokersCpuMs,
    gatewayCpuMs: after.gatewayCpuMs - before.gatewayCpuMs,
  };
}

async function look({ gateway, brokerPids }: Side) {
  const recordCount = await gateway.metric('partita_gateway_batch_records_sum');
  const batchCount = await gateway.metric('partita_gateway_batch_records_count');
  return { recordCount, batchCount, brokersCpuMs: cpuTimeMs(brokerPids), gatewayCpuMs: cpuTimeMs([gateway.pid]) };
}

function residentBytesOf(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}
