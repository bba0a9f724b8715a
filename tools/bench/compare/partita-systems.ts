/** Partita in the comparison: one cluster, which the SDK reaches by the gateway and directly, and raw gRPC beside it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import { LoadProcess } from '../child-process.ts';
import type { CleanUps } from '../clean-ups.ts';
import { RawReplicas } from '../peers/raw-replicas.ts';
import { BASE } from '../produce/settings.ts';
import { BenchTopics } from '../topics.ts';
import { BROKER_COUNT, RECORD_BYTES } from '../workload.ts';
import { FLUSHES } from './system.ts';
import type { Flush, Pids, System, Work } from './system.ts';

/** At both levels: the SDK's two ways, and ready batches beside raw gRPC. */
export async function startPartita(cleanUps: CleanUps): Promise<System[]> {
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
  const { coordinator, broker, gateway, consumerGroup, redis } = readReadyFile(home).pids;
  const pids: Pids = {
    client: [load.pid],
    servers: [...coordinator, ...broker, ...gateway, ...consumerGroup, ...redis],
  };
  const parts = { topics, load, pids };
  const folder = mkdtempSync(join(tmpdir(), 'partita-bench-raw-'));
  cleanUps.add(() => rmSync(folder, { recursive: true, force: true }));
  return [
    ...FLUSHES.flatMap((flush) => [...sdkSystems(parts, flush), readyBatches(parts, flush)]),
    await startRaw(cleanUps, 'os'),
    await startRaw(cleanUps, 'fsync', folder),
  ];
}

interface Parts {
  readonly topics: BenchTopics;
  readonly load: LoadProcess;
  readonly pids: Pids;
}

function sdkSystems({ topics, load, pids }: Parts, flush: Flush): System[] {
  const system = (name: System['name'], delivery: 'direct' | 'batches'): System => ({
    ...{ name, flush, pids },
    create: () => topics.create({ replicationFactor: BROKER_COUNT, flush }),
    produce: (topic, { seconds, recordBytes, ratePerSecond }) => {
      const settings = { ...BASE, delivery, flush, recordBytes };
      const produce = ratePerSecond === undefined ? { settings } : { settings, ratePerSecond };
      return load.run({ load: 'produce-sdk', topic, seconds, produce });
    },
    delete: (topic) => topics.delete(topic),
  });
  return [system('direct', 'direct'), system('gateway', 'batches')];
}

function readyBatches({ topics, load, pids }: Parts, flush: Flush): System {
  return {
    ...{ name: 'ready', flush, pids },
    create: () => topics.create({ replicationFactor: BROKER_COUNT, flush }),
    produce: (topic, { seconds }) => load.run({ load: 'append-direct', topic, seconds }),
    delete: (topic) => topics.delete(topic),
  };
}

/** With a folder each process appends what it gets to a file there, synced, before it answers. */
async function startRaw(cleanUps: CleanUps, flush: Flush, folder?: string): Promise<System> {
  const replicas = await RawReplicas.start(folder);
  cleanUps.add(() => replicas.stop());
  const load = await LoadProcess.start({ kind: 'raw', sinks: replicas.addresses });
  cleanUps.add(() => load.stop());
  return {
    ...{ name: 'raw', flush, pids: { client: [load.pid], servers: replicas.pids } },
    create: () => Promise.resolve(''),
    produce: (_topic, { seconds }) => load.run({ load: 'push-direct', topic: '', seconds }),
    delete: () => Promise.resolve(),
  };
}

/** Whether the system can do this run: ready batches and raw messages are of one size, and have no records with times. */
export function canDo({ name }: System, { recordBytes, ratePerSecond }: Omit<Work, 'seconds'>): boolean {
  return (name !== 'ready' && name !== 'raw') || (recordBytes === RECORD_BYTES && ratePerSecond === undefined);
}
