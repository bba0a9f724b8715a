/**
 * A coordinator and a broker in one in-memory server, over real gRPC: topics, leaders, claims, batches stamped and kept
 * as bytes. It leaves out what the service under test cannot see: disks, replicas, elections.
 */
import { randomUUID } from 'node:crypto';
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import {
  BrokerServiceService,
  BrokerState,
  ClusterServiceService,
  InstanceSessionServiceService,
  PartitionState,
  ServiceKind,
  TimestampType,
} from '@partita/protocol';
import type {
  AppendEntry,
  AppendResult,
  FetchedPartition,
  FetchPartition,
  FetchStreamRequest,
  FetchStreamResponse,
  ListOffsetsEntry,
  ListOffsetsResult,
  TopicRoute,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import { bidi, createRpcServer, DirectoryHolder, directoryMethods, implement, unary } from '@partita/rpc/server';
import type { RpcServer, ServerBidiStream } from '@partita/rpc/server';
import { PRODUCT_VERSION, systemClock } from '@partita/runtime';
import type { Logger } from '@partita/runtime';
import { claimIn, FakeLog, fencedClaim, LEADER_EPOCH } from './fake-log.ts';
import { FakeSessions } from './fake-sessions.ts';

interface FakeTopic {
  readonly route: TopicRoute;
  readonly partitions: readonly FakeLog[];
}

/** How an append of the groups topic fails, once. */
export type AppendFault = 'refused in doubt' | 'stored in doubt';

export class FakeCluster {
  readonly clusterId = randomUUID();
  readonly #traceparents = new Map<string, string>();
  readonly #topics = new Map<string, FakeTopic>();
  readonly #directory = new DirectoryHolder(systemClock);
  readonly #server: RpcServer;
  /** Faults for the next appends under a claim, in order. */
  readonly appendFaults: AppendFault[] = [];
  readonly sessions: FakeSessions;
  listOffsetsCallCount = 0;
  /** How long appends take. */
  appendDelayMs = 0;
  delayedAppendCount = 0;
  /** Readings begun by fetch streams, and bytes of batches sent to them. */
  fetchStartCount = 0;
  fetchedBytes = 0;
  address = '';

  /** `shardCount` = partitions of `__groups`. */
  constructor(logger: Logger, shardCount: number) {
    this.sessions = new FakeSessions(this.clusterId, shardCount);
    this.#server = createRpcServer({ name: 'fake', listen: '127.0.0.1:0', limits: 'public', logger, tracing: 'off' });
    const about = { service: ServiceKind.SERVICE_KIND_COORDINATOR, version: PRODUCT_VERSION, clock: systemClock };
    this.#server.addService(
      ClusterServiceService,
      implement(ClusterServiceService, directoryMethods(this.#directory, about)),
    );
    this.#server.addService(
      BrokerServiceService,
      implement(BrokerServiceService, {
        append: unary(async ({ entries }) => ({ results: await this.#appendAll(entries) }), { append: true }),
        fetch: unary(async ({ partitions, maxWaitMs }) => ({
          partitions: await Promise.all(partitions.map((want) => this.#fetch(want, maxWaitMs))),
        })),
        fetchStream: bidi((stream) => this.#fetchStream(stream)),
        listOffsets: unary(({ entries }) => {
          this.listOffsetsCallCount += 1;
          return { results: entries.map((entry) => this.#listOffset(entry)) };
        }),
      }),
    );
    this.#server.addService(
      InstanceSessionServiceService,
      implement(InstanceSessionServiceService, { instanceSession: bidi((stream) => this.sessions.open(stream)) }),
    );
  }

  async start(): Promise<void> {
    ({ address: this.address } = await this.#server.start());
    this.#directory.update({
      clusterId: this.clusterId,
      brokers: [
        { brokerId: 1, address: this.address, rack: '', state: BrokerState.BROKER_STATE_UP, version: PRODUCT_VERSION },
      ],
      endpoints: [
        {
          service: ServiceKind.SERVICE_KIND_COORDINATOR,
          address: this.address,
          brokerId: 0,
          instanceId: '',
          active: true,
        },
      ],
    });
    this.createTopic('__groups', this.sessions.shardCount);
  }

  close(): void {
    this.#server.close();
  }

  createTopic(topic: string, partitionCount: number, options: { readonly isAppendTime?: boolean } = {}): string {
    const topicId = randomUUID();
    const share = 2 ** 32 / partitionCount;
    const partitions = Array.from({ length: partitionCount }, (_, partition) => ({
      partition,
      hashMin: Math.floor(partition * share),
      hashMax: Math.floor((partition + 1) * share) - 1,
      leaderId: 1,
      leaderEpoch: LEADER_EPOCH,
      replicas: [],
      inSyncIds: [1],
      state: PartitionState.PARTITION_STATE_ONLINE,
    }));
    const route = {
      topic,
      topicId,
      version: 1n,
      hashFunction: 'xxh32',
      partitions,
      recordBytesMax: 1_048_576,
      allowedCodecs: [],
      timestampFutureMsMax: 0n,
      compacted: false,
      timestampType: options.isAppendTime ? TimestampType.TIMESTAMP_TYPE_APPEND : TimestampType.TIMESTAMP_TYPE_CREATE,
    };
    const logs = partitions.map(({ partition }) => new FakeLog(topicId, partition));
    this.#topics.set(topicId, { route, partitions: logs });
    this.#publish();
    return topicId;
  }

  deleteTopic(topicId: string): void {
    this.#topics.delete(topicId);
    this.#publish();
  }

  /** Appends values as one batch; answers the offset of the first. */
  produce(topic: string, partition: number, values: readonly (string | RecordInput)[], ageMs = 0): bigint {
    const builder = new BatchBuilder();
    for (const value of values)
      builder.tryAdd(typeof value === 'string' ? { value: Buffer.from(value), timestampMs: 1000n } : value);
    return this.#log({ topicId: '', topic, partition }).append(
      builder.build({ codec: CODEC_NONE }),
      BigInt(Date.now() - ageMs),
    );
  }

  /** What the log of the first group shard is like. */
  get shardLog(): { readonly claimEpoch: number; readonly batchCount: number } {
    const { claimEpoch, batches } = this.#log({ topicId: '', topic: '__groups', partition: 0 });
    return { claimEpoch, batchCount: batches.length };
  }

  /** What the last append to a topic said about its trace. */
  lastAppendTraceparent(topic: string): string {
    return this.#traceparents.get(topic) ?? '';
  }

  /** Forgets records below an offset. */
  trim(topic: string, partition: number, logStart: bigint): void {
    const log = this.#log({ topicId: '', topic, partition });
    log.logStart = logStart;
    while ((log.batches[0]?.endOffset ?? logStart) < logStart) log.batches.shift();
  }

  #publish(): void {
    this.#directory.update({ routes: [...this.#topics.values()].map(({ route }) => route) });
  }

  #find(name: { readonly topicId: string; readonly topic: string }): FakeTopic {
    const byName = [...this.#topics.values()].find(({ route }) => route.topic === name.topic);
    const topic = name.topicId === '' ? byName : this.#topics.get(name.topicId);
    if (topic === undefined) throw new PartitaError('TOPIC_NOT_FOUND', 'no such topic', { topic: name.topic });
    return topic;
  }

  #log(name: { readonly topicId: string; readonly topic: string; readonly partition: number }): FakeLog {
    const log = this.#find(name).partitions[name.partition];
    if (log === undefined) throw new PartitaError('PARTITION_NOT_FOUND', 'no such partition');
    return log;
  }

  async #appendAll(entries: readonly AppendEntry[]): Promise<AppendResult[]> {
    if (this.appendDelayMs > 0) {
      this.delayedAppendCount += 1;
      await new Promise((resolve) => setTimeout(resolve, this.appendDelayMs));
    }
    return entries.map((entry) => this.#append(entry));
  }

  #append(entry: AppendEntry): AppendResult {
    this.#traceparents.set(entry.topic, entry.traceparent);
    try {
      const log = this.#log(entry);
      const claim = claimIn(entry.recordBatches);
      if (claim !== undefined) log.claim(claim);
      else if (entry.claimEpoch !== log.claimEpoch) throw fencedClaim(entry.claimEpoch, log.claimEpoch);
      const fault = entry.claimEpoch > 0 && claim === undefined ? this.appendFaults.shift() : undefined;
      if (fault !== 'refused in doubt') {
        const baseOffset = log.append(entry.recordBatches);
        const ack = {
          partition: entry.partition,
          baseOffset,
          leaderEpoch: LEADER_EPOCH,
          replicasAcked: 1,
          fsynced: true,
          appendTimeMs: 0n,
          duplicate: false,
          recordCount: 1,
        };
        if (fault === undefined) return { outcome: { $case: 'ack', ack } };
      }
      throw new PartitaError('OUTCOME_UNKNOWN', 'a fault of the test');
    } catch (error) {
      return { outcome: { $case: 'error', error: toRpcStatus(error) } };
    }
  }

  async #fetch(want: FetchPartition, maxWaitMs: number): Promise<FetchedPartition> {
    try {
      const log = this.#log(want);
      const untilMs = performance.now() + maxWaitMs;
      while (log.end <= want.offset && performance.now() < untilMs) await log.change(untilMs - performance.now());
      return this.#read(want);
    } catch (error) {
      return { ...this.#nothing(want), error: toRpcStatus(error) };
    }
  }

  #read(want: FetchPartition): FetchedPartition {
    const log = this.#log(want);
    if (want.offset < log.logStart || want.offset > log.end) {
      throw new PartitaError('OFFSET_OUT_OF_RANGE', 'out of range', { offset: String(want.offset) });
    }
    const { bytes, nextOffset } = log.read(want.offset);
    return {
      ...this.#nothing(want),
      highWatermark: log.end,
      logStartOffset: log.logStart,
      recordBatches: bytes,
      nextOffset,
    };
  }

  #nothing(want: FetchPartition): FetchedPartition {
    const { topicId, topic, partition, offset } = want;
    const none = { highWatermark: 0n, logStartOffset: 0n, leaderEpoch: LEADER_EPOCH, recordBatches: new Uint8Array(0) };
    return { topicId, topic, partition, ...none, nextOffset: offset };
  }

  #listOffset(entry: ListOffsetsEntry): ListOffsetsResult {
    try {
      const log = this.#log(entry);
      const offset = log.resolve(entry.position);
      return {
        offset,
        logStartOffset: log.logStart,
        highWatermark: log.end,
        leaderEpoch: LEADER_EPOCH,
        dataEndOffset: log.end,
        ...(entry.withLag ? log.lagFrom(offset) : {}),
      };
    } catch (error) {
      return {
        offset: 0n,
        logStartOffset: 0n,
        highWatermark: 0n,
        leaderEpoch: 0,
        dataEndOffset: 0n,
        error: toRpcStatus(error),
      };
    }
  }

  #fetchStream(stream: ServerBidiStream<FetchStreamResponse>) {
    const readings = new Map<string, { stop(): void; next(): void }>();
    const credit = { bytes: 0 };
    const grant = (bytes: bigint | undefined): void => {
      credit.bytes += Number(bytes ?? 0n);
      for (const { next } of [...readings.values()]) next();
    };
    const stop = (want: FetchPartition): void => readings.get(`${want.topicId}/${want.partition}`)?.stop();
    stream.onClose(() => [...readings.values()].forEach((reading) => reading.stop()));
    return {
      onMessage: ({ message }: FetchStreamRequest) => {
        if (message?.$case === 'initial') grant(message.initial.credit?.bytes);
        if (message?.$case === 'credit') grant(message.credit.bytes);
        if (message?.$case === 'stop') message.stop.partitions.forEach(stop);
        if (message?.$case !== 'start') return;
        const { startId, partitions } = message.start;
        for (const want of partitions) {
          stop(want);
          this.fetchStartCount += 1;
          readings.set(`${want.topicId}/${want.partition}`, this.#push(stream, credit, startId, want));
        }
      },
    };
  }

  /** Pushes a partition's batches as they come and credit allows. */
  #push(
    stream: ServerBidiStream<FetchStreamResponse>,
    credit: { bytes: number },
    startId: bigint,
    start: FetchPartition,
  ): { stop(): void; next(): void } {
    let offset = start.offset;
    let log: FakeLog;
    let stopped = false;
    const next = (): void => {
      if (stopped || (offset < log.end && credit.bytes <= 0)) return;
      try {
        const partition = this.#read({ ...start, offset });
        if (partition.recordBatches.byteLength > 0) {
          offset = partition.nextOffset;
          credit.bytes -= partition.recordBatches.byteLength;
          this.fetchedBytes += partition.recordBatches.byteLength;
          stream.send({ message: { $case: 'data', data: { startId, partition } } });
          if (offset < log.end) return next();
        }
        const { topicId } = start;
        const mark = { topicId, partition: start.partition, highWatermark: log.end, logStartOffset: log.logStart };
        stream.send({ message: { $case: 'caughtUp', caughtUp: mark } });
      } catch (error) {
        log.waiting.delete(next);
        stopped = true;
        stream.send({
          message: {
            $case: 'data',
            data: { startId, partition: { ...this.#nothing(start), error: toRpcStatus(error) } },
          },
        });
      }
    };
    const stop = (): void => {
      stopped = true;
      log.waiting.delete(next);
    };
    try {
      log = this.#log(start);
    } catch (error) {
      stream.send({
        message: {
          $case: 'data',
          data: { startId, partition: { ...this.#nothing(start), error: toRpcStatus(error) } },
        },
      });
      return { stop: () => undefined, next: () => undefined };
    }
    log.waiting.add(next);
    next();
    return { stop, next };
  }
}
