/** Kafka and NATS JetStream in the comparison, where the machine has what they need. */
import { randomBytes } from 'node:crypto';
import { CLIENT_BUFFER_BYTES_MAX } from '@partita/domain';
import type { CleanUps } from '../clean-ups.ts';
import { DriverProcess, sampleOf } from '../peers/driver-process.ts';
import { startKafka } from '../peers/kafka-cluster.ts';
import { KAFKA_LOAD, kafkaClassPath, kafkaVersion, whyNoKafka } from '../peers/kafka-programs.ts';
import { startNats } from '../peers/nats-cluster.ts';
import { natsPrograms, natsVersion, whyNoNats } from '../peers/nats-programs.ts';
import type { PeerCluster } from '../peers/server-process.ts';
import { IN_FLIGHT_BYTES } from '../produce/settings.ts';
import { BATCH_BYTES, BROKER_COUNT, PARTITION_COUNT } from '../workload.ts';
import { FLUSHES } from './system.ts';
import type { Flush, System, SystemName } from './system.ts';

export const PEERS = ['kafka', 'nats'] as const;
export type PeerName = (typeof PEERS)[number];

/** How long the producer of Kafka waits for more records of a batch: what is its default, and not at all. */
export const KAFKA_LINGERS_MS = { kafka: 5, 'kafka-eager': 0 } as const;

export interface Peer {
  /** What it is, for a report. */
  readonly version: () => string;
  /** Why it cannot run on this machine; undefined = it can. */
  readonly whyNot: () => string | undefined;
  /** Fetches what it needs when that was not done before, and starts it with its data in `folder`. */
  readonly start: (cleanUps: CleanUps, folder: string) => Promise<System[]>;
}

export const PEER_SYSTEMS: Readonly<Record<PeerName, Peer>> = {
  kafka: { version: () => kafkaVersion(), whyNot: () => whyNoKafka(), start: startKafkaSystems },
  nats: { version: () => natsVersion(), whyNot: () => whyNoNats(), start: startNatsSystems },
};

/** What a job may take beside its seconds: the drain of what is on its way, a machine that others share. */
const GRACE_SECONDS = 180;
const RATE_SECONDS_SHARE = 5;

/** One cluster: Kafka syncs as each topic says. */
async function startKafkaSystems(cleanUps: CleanUps, folder: string): Promise<System[]> {
  const classPath = await kafkaClassPath();
  const cluster = await startKafka(classPath, folder);
  cleanUps.add(() => cluster.stop());
  const servers = cluster.addresses.join(',');
  const jvm = ['-Xmx1g', '-cp', classPath];
  const driver = await startDriver(cleanUps, cluster, 'java', [...jvm, KAFKA_LOAD, servers, String(BROKER_COUNT)]);
  const topicConfigs = (flush: Flush) => ({
    'min.insync.replicas': '2',
    // The files of a run must not be there for long while others are measured.
    'file.delete.delay.ms': '1000',
    ...(flush === 'fsync' ? { 'flush.messages': '1' } : {}),
  });
  const producerConfigs = (lingerMs: number) => ({
    acks: 'all',
    'enable.idempotence': 'true',
    'compression.type': 'none',
    'batch.size': String(BATCH_BYTES),
    'linger.ms': String(lingerMs),
    'buffer.memory': String(CLIENT_BUFFER_BYTES_MAX),
  });
  return FLUSHES.flatMap((flush) =>
    (['kafka', 'kafka-eager'] as const).map((name) =>
      systemOf(
        { name, flush, driver, cluster },
        { create: { configs: topicConfigs(flush) }, produce: { configs: producerConfigs(KAFKA_LINGERS_MS[name]) } },
      ),
    ),
  );
}

/** Two clusters: NATS syncs as its servers say. */
async function startNatsSystems(cleanUps: CleanUps, folder: string): Promise<System[]> {
  const programs = await natsPrograms();
  const systems: System[] = [];
  for (const flush of FLUSHES) {
    const cluster = await startNats(programs.server, folder, flush === 'fsync' ? 'always' : 'default');
    cleanUps.add(() => cluster.stop());
    const driver = await startDriver(cleanUps, cluster, programs.load, cluster.addresses);
    systems.push(systemOf({ name: 'nats', flush, driver, cluster }, { create: {}, produce: {} }));
  }
  return systems;
}

function startDriver(
  cleanUps: CleanUps,
  cluster: PeerCluster,
  program: string,
  args: readonly string[],
): Promise<DriverProcess> {
  return orFaultOf(cluster, async () => {
    const driver = await DriverProcess.start(program, args);
    cleanUps.add(() => driver.stop());
    return driver;
  });
}

/** A server that has ended says more of what is wrong than its client. */
async function orFaultOf<Result>(cluster: PeerCluster, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const fault = cluster.fault();
    throw fault === undefined ? error : new Error(fault, { cause: error });
  }
}

interface PeerParts {
  readonly name: SystemName;
  readonly flush: Flush;
  readonly driver: DriverProcess;
  readonly cluster: PeerCluster;
}

function systemOf(
  { name, flush, driver, cluster }: PeerParts,
  extras: { readonly create: object; readonly produce: object },
): System {
  const shape = { partitionCount: PARTITION_COUNT, replicationFactor: BROKER_COUNT };
  const ask = (job: object, secondsMax: number): Promise<unknown> =>
    orFaultOf(cluster, () => driver.ask({ ...shape, ...job }, secondsMax));
  return {
    ...{ name, flush },
    pids: { client: [driver.pid], servers: cluster.pids },
    create: async () => {
      const topic = `bench-${randomBytes(4).toString('hex')}`;
      await ask({ kind: 'create', topic, ...extras.create }, GRACE_SECONDS);
      return topic;
    },
    produce: async (topic, work) => {
      const inFlightBytes = work.ratePerSecond === undefined ? IN_FLIGHT_BYTES : CLIENT_BUFFER_BYTES_MAX;
      const job = { kind: 'produce', topic, ...work, inFlightBytes, ...extras.produce };
      return sampleOf(await ask(job, RATE_SECONDS_SHARE * work.seconds + GRACE_SECONDS));
    },
    delete: async (topic) => {
      await ask({ kind: 'delete', topic }, GRACE_SECONDS);
    },
  };
}
