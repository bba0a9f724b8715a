/** A real broker in this process, on a real directory and real gRPC, and a coordinator's hand to make partitions with. */
import { randomBytes, randomUUID } from 'node:crypto';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BATCH_CLAIM, BatchBuilder, buildControlBatch, CODEC_NONE } from '@partita/batch';
import {
  Acks,
  BrokerServiceService,
  ClaimRecord,
  ElectionServiceService,
  FlushMode,
  ReplicaServiceService,
  TopicSettings,
} from '@partita/protocol';
import type {
  AppendAck,
  AppendEntry,
  AppendResult,
  FetchedPartition,
  FetchPartition,
  FetchRequest,
  LeadEntry,
  PromiseResult,
  Status,
  TopicConfig,
} from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import type { TracingMode } from '@partita/rpc';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { createLogger, PRODUCT_VERSION, startTelemetry } from '@partita/runtime';
import type { RunningService, Telemetry } from '@partita/runtime';
import { startBroker } from '../broker.ts';
import { MetricRegistry } from '@partita/telemetry';
import type { BrokerConfig } from '../config.ts';

export const CLUSTER_ID = '0190a000-0000-7000-8000-000000000001';

const COPY_ATTEMPTS_MAX = 10;

export interface TestTopic {
  readonly config: TopicConfig;
  readonly replicaIds: readonly string[];
}

export class TestBroker {
  readonly service: RunningService;
  readonly dir: string;
  readonly pool = new ChannelPool();
  readonly failures: unknown[];
  readonly #metrics: { readonly telemetry: Telemetry; readonly address: unknown };

  private constructor(
    service: RunningService,
    dir: string,
    failures: unknown[],
    metrics: { readonly telemetry: Telemetry; readonly address: unknown },
  ) {
    this.service = service;
    this.dir = dir;
    this.failures = failures;
    this.#metrics = metrics;
  }

  /** `onLog` gets every line of the log as JSON; without it nothing is logged. */
  static async start(
    dir?: string,
    overrides: Partial<BrokerConfig> = {},
    onLog?: (line: string) => void,
    tracing: TracingMode = 'off',
  ): Promise<TestBroker> {
    const dataDir = dir ?? (await mkdtemp(join(tmpdir(), 'partita-broker-')));
    const failures: unknown[] = [];
    const config: BrokerConfig = {
      id: 1,
      dataDir,
      clusterId: CLUSTER_ID,
      listen: { host: '127.0.0.1', port: 0 },
      peerListen: { host: '127.0.0.1', port: 0 },
      advertise: undefined,
      peerAdvertise: undefined,
      coordinators: [],
      rack: undefined,
      insecure: false,
      segmentBytes: 1024 * 1024,
      openFiles: 100,
      retentionInterval: 60_000,
      scrubInterval: 0,
      compactionBytesPerSecond: 1024 ** 3,
      metricsListen: undefined,
      metricsHosts: [],
      metricsPartitions: false,
      logLevel: 'silent',
      ...overrides,
    };
    const level = onLog === undefined ? 'silent' : 'info';
    const output = { write: onLog ?? (() => undefined) };
    const logger = createLogger({ service: 'broker', instance: '1', level, pretty: false, output });
    // As the process does it; the endpoint only where a test asks for it.
    const identity = { service: 'broker', version: PRODUCT_VERSION, instance: String(config.id), env: {}, logger };
    const telemetry = await startTelemetry({ ...identity, metrics: config });
    const { metricsAddress } = await telemetry.open();
    const metrics = telemetry.metrics.isOn ? telemetry.metrics : new MetricRegistry();
    const fail = (error: unknown) => void failures.push(error);
    const service = await startBroker({ config, logger, tracing, metrics, fail });
    return new TestBroker(service, dataDir, failures, { telemetry, address: metricsAddress });
  }

  get address(): string {
    return String(this.service.ready['address']);
  }

  get client() {
    return this.pool.client(this.address);
  }

  get peer() {
    return this.pool.client(String(this.service.ready['peerAddress']));
  }

  /** What Prometheus gets, by name and labels as they are written there. Needs `metricsListen`. */
  async scrape(): Promise<Map<string, number>> {
    const response = await fetch(`http://${String(this.#metrics.address)}/metrics`);
    const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      lines.map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
    );
  }

  /** Stops as SIGTERM does. */
  async stop(): Promise<void> {
    await this.service.drain();
    await this.service.close();
    await this.#metrics.telemetry.shutdown();
    this.pool.close();
  }

  /**
   * What a kill -9 would leave: the files as they are at this moment, elsewhere. The lock of a living process stays behind.
   * A copy during which a file goes is not of one moment, and is made again.
   */
  async copyOfDirectory(): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      const copy = await mkdtemp(join(tmpdir(), 'partita-broker-killed-'));
      try {
        await cp(this.dir, copy, { recursive: true, filter: (path) => !path.endsWith('/lock') });
        return copy;
      } catch (error) {
        await rm(copy, { recursive: true, force: true });
        const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (!isGone || attempt === COPY_ATTEMPTS_MAX) throw error;
      }
    }
  }

  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }

  /** Makes a topic with one replica of each partition here. */
  async createTopic(
    name: string,
    options: { partitions?: number; settings?: Partial<TopicSettings>; flush?: FlushMode; minInSync?: number } = {},
  ): Promise<TestTopic> {
    const { partitions = 1, flush = FlushMode.FLUSH_MODE_FSYNC } = options;
    const config: TopicConfig = {
      topic: name,
      topicId: randomUUID(),
      version: 1n,
      partitions: Array.from({ length: partitions }, (_, partition) => ({
        partition,
        hashMin: 0,
        hashMax: 2 ** 32 - 1,
      })),
      replicationFactor: 1,
      settings: TopicSettings.fromPartial(options.settings ?? {}),
      createTimeMs: BigInt(Date.now()),
      requestId: '',
    };
    const topic: TestTopic = { config, replicaIds: Array.from({ length: partitions }, () => randomUUID()) };
    const results = await this.createReplicas(topic, flush);
    for (const status of results) if (status.code !== 0) throw fromRpcStatus(status);
    return topic;
  }

  async createReplicas(topic: TestTopic, flush: FlushMode = FlushMode.FLUSH_MODE_FSYNC): Promise<Status[]> {
    const directoryId = await this.directoryId();
    const { results } = await callUnary(this.peer, ReplicaServiceService.createReplicas, {
      clusterId: CLUSTER_ID,
      topics: [topic.config],
      replicas: topic.replicaIds.map((replicaId, partition) => ({
        topicId: topic.config.topicId,
        partition,
        replicaId,
        promisedEpoch: 0,
        config: {
          configVersion: 1,
          replicas: [{ brokerId: 1, directoryId, replicaId }],
          learners: [],
          minInSyncReplicas: 1,
          flush,
        },
      })),
    });
    return results;
  }

  async directoryId(): Promise<string> {
    const stored = JSON.parse(await readFile(join(this.dir, 'storage.json'), 'utf8')) as { dir_uuid: string };
    return stored.dir_uuid;
  }

  async promise(topic: TestTopic, epoch: number, nonce: Uint8Array = randomBytes(16)): Promise<PromiseResult[]> {
    const { results } = await callUnary(this.peer, ElectionServiceService.promiseBatch, {
      clusterId: CLUSTER_ID,
      coordinatorRunId: randomUUID(),
      entries: topic.replicaIds.map((replicaId, partition) => ({
        topicId: topic.config.topicId,
        partition,
        replicaId,
        epoch,
        nonce,
      })),
    });
    return results;
  }

  /** The ordinary election of every partition. */
  async elect(topic: TestTopic, epoch: number): Promise<boolean[]> {
    const nonce = randomBytes(16);
    const promises = await this.promise(topic, epoch, nonce);
    const entries = promises.map((promised, partition): LeadEntry => ({
      topicId: topic.config.topicId,
      partition,
      replicaId: topic.replicaIds[partition] ?? '',
      epoch,
      nonce,
      lastEpoch: promised.lastEpoch,
      logEndOffset: promised.logEndOffset,
      unclean: false,
      configFloor: 0,
    }));
    const { results } = await callUnary(this.peer, ElectionServiceService.leadBatch, {
      clusterId: CLUSTER_ID,
      coordinatorRunId: randomUUID(),
      entries,
    });
    return results.map((result) => result.leading);
  }

  async append(...entries: AppendEntry[]): Promise<AppendResult[]> {
    const { results } = await callUnary(this.client, BrokerServiceService.append, { entries }, { append: true });
    return results;
  }

  /** Appends one entry and expects it to be acknowledged. */
  async appendOk(entry: AppendEntry): Promise<AppendAck> {
    const [result] = await this.append(entry);
    if (result?.outcome?.$case !== 'ack') throw new Error(`not acknowledged: ${reasonOf(result)}`);
    return result.outcome.ack;
  }

  async fetch(partition: Partial<FetchPartition>, options: Partial<FetchRequest> = {}): Promise<FetchedPartition> {
    const { partitions } = await callUnary(this.client, BrokerServiceService.fetch, {
      maxBytes: 0,
      minBytes: 0,
      maxWaitMs: 0,
      ...options,
      partitions: [wanted(partition)],
    });
    const [answer] = partitions;
    if (answer === undefined) throw new Error('no answer for the partition');
    return answer;
  }
}

export function wanted(partition: Partial<FetchPartition>): FetchPartition {
  return {
    topicId: '',
    topic: '',
    partition: 0,
    offset: 0n,
    endOffset: undefined,
    maxBytes: 0,
    leaderEpoch: 0,
    lastRecordEpoch: 0,
    ...partition,
  };
}

/** A canonical batch of records with these values. */
export function batchOf(...values: string[]): Buffer {
  const builder = new BatchBuilder();
  for (const value of values) {
    builder.tryAdd({ key: undefined, value: Buffer.from(value), headers: [], timestampMs: BigInt(Date.now()) });
  }
  return builder.build({ codec: CODEC_NONE });
}

export function entryFor(topic: string, recordBatches: Uint8Array, more: Partial<AppendEntry> = {}): AppendEntry {
  return {
    topicId: '',
    topic,
    partition: 0,
    leaderEpoch: 0,
    recordBatches,
    acks: Acks.ACKS_ALL,
    expectedNextOffset: undefined,
    claimEpoch: 0,
    traceparent: '',
    tracestate: '',
    ...more,
  };
}

export function claimBatch(claimEpoch: number, instanceId: string): Buffer {
  return buildControlBatch(BATCH_CLAIM, ClaimRecord.encode({ claimEpoch, instanceId }).finish());
}

/** The reason of a refused entry, `ack` for one that was stored. */
export function reasonOf(result: AppendResult | undefined): string {
  if (result?.outcome?.$case === 'error') return fromRpcStatus(result.outcome.error).reason;
  return result?.outcome?.$case ?? 'none';
}
