/** What the produce bench runs on: a cluster, raw gRPC with the same hops, and a load generator for each. */
import { connect } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import type { ReadyFile } from '@partita/tool-dev/ready-file.ts';
import { progress } from '../bench-run.ts';
import { LoadProcess, RawChain } from '../child-process.ts';
import type { CleanUps } from '../clean-ups.ts';
import { cpuTimeMs } from '../cpu-time.ts';
import { RawReplicas } from '../peers/raw-replicas.ts';
import { profiledEnvironment, summariseProfiles } from '../profile/profiles.ts';
import type { Sample } from '../sample.ts';
import { BenchTopics } from '../topics.ts';
import { BROKER_COUNT } from '../workload.ts';

export const ROLES = ['client', 'gateway', 'brokers'] as const;

/** CPU time of each role, milliseconds. */
export type CpuMs = Readonly<Record<(typeof ROLES)[number], number>>;

export interface ProduceServers {
  readonly topics: BenchTopics;
  /** The load generator on the cluster. */
  readonly ours: LoadProcess;
  /** The load generator on raw gRPC: a relay in front of replicas. */
  readonly raw: LoadProcess;
  /** Processes of the cluster, and its client. */
  readonly pids: Readonly<Record<(typeof ROLES)[number], readonly number[]>>;
}

/** `profileFolder` = where profiles of the services go; undefined = none are taken. */
export async function startServers(cleanUps: CleanUps, profileFolder: string | undefined): Promise<ProduceServers> {
  progress('starting a cluster');
  const env = profileFolder === undefined ? {} : profiledEnvironment(profileFolder);
  const cluster = launchCluster({ purpose: 'bench', brokerCount: BROKER_COUNT, env });
  const ready: { pids?: ReadyFile['pids'] } = {};
  cleanUps.add(async () => {
    await cluster.stop();
    cluster.removeHome();
    const { pids } = ready;
    if (profileFolder !== undefined && pids !== undefined) progress(summariseProfiles(profileFolder, pids));
  });
  await cluster.untilReady();
  const { servers, home } = cluster;
  ready.pids = readReadyFile(home).pids;
  const client = await connect({ servers, clientId: 'partita-bench' });
  cleanUps.add(() => client.close());
  const topics = new BenchTopics(client.admin);
  cleanUps.add(() => topics.deleteAll());
  const ours = await LoadProcess.start({ kind: 'partita', servers });
  cleanUps.add(() => ours.stop());
  const raw = await startRaw(cleanUps);
  const { gateway, broker } = ready.pids;
  return { topics, ours, raw, pids: { client: [ours.pid], gateway, brokers: broker } };
}

async function startRaw(cleanUps: CleanUps): Promise<LoadProcess> {
  const replicas = await RawReplicas.start();
  cleanUps.add(() => replicas.stop());
  const chain = await RawChain.start(replicas.addresses);
  cleanUps.add(() => chain.stop());
  const load = await LoadProcess.start({ kind: 'raw', relay: chain.relay, sinks: replicas.addresses });
  cleanUps.add(() => load.stop());
  return load;
}

/** Runs it, and tells what each role spent meanwhile. */
export async function metered(
  pids: ProduceServers['pids'],
  run: () => Promise<Sample>,
): Promise<{ readonly sample: Sample; readonly cpuMs: CpuMs }> {
  const before = spent(pids);
  const sample = await run();
  const after = spent(pids);
  const cpuMs = {
    client: after.client - before.client,
    gateway: after.gateway - before.gateway,
    brokers: after.brokers - before.brokers,
  };
  return { sample, cpuMs };
}

function spent({ client, gateway, brokers }: ProduceServers['pids']): CpuMs {
  return { client: cpuTimeMs(client), gateway: cpuTimeMs(gateway), brokers: cpuTimeMs(brokers) };
}
