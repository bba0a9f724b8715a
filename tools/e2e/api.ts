/** Calls as any generated client makes them, by raw gRPC; and the few of them that most suites begin with. */
import { randomUUID } from 'node:crypto';
import type { ConsumedRecord, Partition, RecordBatch, Topic, TopicSettings } from '@partita/protocol';
import {
  Acks,
  AppendEntry,
  BrokerServiceService,
  CompressionCodec,
  GroupServiceService,
  ProducerServiceService,
  Record as WireRecord,
  Topic as TopicMessage,
  TopicServiceService,
} from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { ChannelPool, callUnary } from '@partita/rpc/client';
import type { Cluster } from './harness.ts';
import { stockBatch, stockBytes } from './stock-batch.ts';
import type { PlainRecord } from './stock-batch.ts';

/** Deadline of an append to a leader: one that meets a full disk waits for room that long. */
const APPEND_MS_MAX = 5000;

/** A cluster's services by raw gRPC. Close it before the cluster stops. */
export class Api {
  readonly pool = new ChannelPool({ messageBytesMax: 16 * 1024 * 1024, clientId: 'e2e' });
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  close(): void {
    this.pool.close();
  }

  async createTopic(name: string, partitionCount: number, settings: Partial<TopicSettings> = {}): Promise<Topic> {
    const request = {
      topic: TopicMessage.fromPartial({ name, partitionCount, replicationFactor: 1, settings }),
      requestId: randomUUID(),
      validateOnly: false,
    };
    const client = this.pool.client(this.#cluster.addresses.coordinator);
    const { topic } = await callUnary(client, TopicServiceService.createTopic, request);
    if (topic === undefined) throw new Error('CreateTopic answered without a topic');
    return topic;
  }

  async getTopic(topic: string): Promise<Topic> {
    const client = this.pool.client(this.#cluster.addresses.coordinator);
    const answer = await callUnary(client, TopicServiceService.getTopic, { topic });
    if (answer.topic === undefined) throw new Error('GetTopic answered without a topic');
    return answer.topic;
  }

  /** The partition as the coordinator sees it, with the address of its leader. */
  async partition(topic: string, number: number): Promise<Partition & { readonly leaderAddress: string }> {
    const { partitions } = await this.getTopic(topic);
    const partition = partitions.find((candidate) => candidate.partition === number);
    if (partition === undefined) throw new Error(`no partition ${number} of ${topic}`);
    const leader = this.#cluster.file.brokers.find(({ id }) => id === partition.leaderId);
    return { ...partition, leaderAddress: leader?.address ?? '' };
  }

  /** Appends records by the unary call, without retry. Rejects with PartitaError. */
  produce(
    topic: string,
    records: readonly { readonly key?: string; readonly value: string }[],
    options: { readonly partition?: number; readonly deadlineMs?: number; readonly requestId?: string } = {},
  ) {
    const request = {
      topic,
      partition: options.partition,
      records: records.map(({ key, value }) =>
        WireRecord.fromPartial({
          ...(key === undefined ? {} : { key: Buffer.from(key) }),
          value: Buffer.from(value),
        }),
      ),
      acks: Acks.ACKS_ALL,
      requestId: options.requestId ?? '',
      expectedNextOffset: undefined,
      atomic: false,
      codec: CompressionCodec.COMPRESSION_CODEC_NONE,
    };
    const client = this.pool.client(this.#cluster.addresses.gateway);
    const deadlineMs = options.deadlineMs ?? 10_000;
    return callUnary(client, ProducerServiceService.produce, request, { append: true, deadlineMs });
  }

  /** Appends a batch at its leader, past the gateway and its queue. Answers the reason of the refusal, or `stored`. */
  append(topic: Topic, partition: number, records: readonly PlainRecord[], deadlineMs?: number): Promise<string> {
    return this.appendBatch(topic, partition, stockBatch(records), deadlineMs);
  }

  async appendBatch(topic: Topic, partition: number, batch: RecordBatch, deadlineMs = APPEND_MS_MAX): Promise<string> {
    const { leaderAddress } = await this.partition(topic.name, partition);
    const recordBatches = stockBytes(batch);
    const entry = AppendEntry.fromPartial({ topicId: topic.topicId, partition, recordBatches, acks: Acks.ACKS_ALL });
    const client = this.pool.client(leaderAddress);
    const call = { append: true, deadlineMs };
    const { results } = await callUnary(client, BrokerServiceService.append, { entries: [entry] }, call);
    const outcome = results[0]?.outcome;
    return outcome?.$case === 'error' ? fromRpcStatus(outcome.error).reason : 'stored';
  }

  /** Every committed record of a partition, from the earliest or an offset. The deadline is that of each call. */
  async readPartition(topic: string, partition: number, deadlineMs = 30_000, from = 0n): Promise<ConsumedRecord[]> {
    const client = this.pool.client(this.#cluster.addresses.consumerGroup);
    const records: ConsumedRecord[] = [];
    let start = from;
    for (;;) {
      const request = {
        topic,
        partition,
        start: { position: { $case: 'offset' as const, offset: start } },
        endOffset: undefined,
        endTime: undefined,
        maxRecords: 10_000,
        maxBytes: 0,
        maxWaitMs: 0,
      };
      const page = await callUnary(client, GroupServiceService.readRecords, request, { deadlineMs });
      records.push(...page.records);
      if (page.nextOffset >= page.highWatermark) return records;
      if (page.nextOffset <= start) throw new Error(`reading ${topic}/${partition} does not get past ${start}`);
      start = page.nextOffset;
    }
  }

  /** Values of every committed record, per partition. */
  async readValues(topic: string, partitionCount: number): Promise<string[][]> {
    const partitions = Array.from({ length: partitionCount }, (_, number) => this.readPartition(topic, number));
    return (await Promise.all(partitions)).map((records) => records.map(valueOf));
  }
}

export function valueOf({ record }: ConsumedRecord): string {
  return Buffer.from(record?.value ?? []).toString('utf8');
}

export function keyOf({ record }: ConsumedRecord): string {
  return Buffer.from(record?.key ?? []).toString('utf8');
}
