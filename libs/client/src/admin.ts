/** Topics, groups and the cluster. Every call is tried again while its failure may pass; creations carry a request id. */
import { PAGE_SIZE_MAX } from '@partita/domain';
import {
  BrokerServiceService,
  ClusterServiceService,
  Topic,
  TopicServiceService,
  TopicSettings,
} from '@partita/protocol';
import type {
  AuditEntry,
  DeleteRecordsResponse,
  DescribeClusterResponse,
  DescribeProducersResponse,
  ElectionResult,
  GetClusterResponse,
  ListOffsetsResponse,
  PartitionRef,
} from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { clientError, refused } from './client-error.ts';
import { JITTER } from './jitter.ts';
import type { LeaderCalls } from './leader-calls.ts';
import { offsetSpec } from './position.ts';
import type { Position } from './position.ts';
import { QuotaAdmin } from './quota-admin.ts';
import type { ServiceCallOptions, ServiceCalls } from './service-calls.ts';

/** A topic to create. */
export interface NewTopic {
  readonly name: string;
  /** Default 1. */
  readonly partitionCount?: number | undefined;
  /** Default: the cluster's, min(3, brokers). */
  readonly replicationFactor?: number | undefined;
  readonly settings?: Partial<TopicSettings> | undefined;
  /** True: checks everything and creates nothing. */
  readonly validateOnly?: boolean | undefined;
}

/** New values for settings; undefined = back to the cluster's default. */
export interface TopicChange {
  readonly settings: Partial<TopicSettings>;
  /** Replicas of each partition; 0 = the default. Absent = as before. The replica sets follow in the background. */
  readonly replicationFactor?: number | undefined;
  /** Refuses with ETAG_MISMATCH when the topic changed since. */
  readonly etag?: string | undefined;
  readonly validateOnly?: boolean | undefined;
}

export interface ListTopicsOptions {
  readonly namePrefix?: string | undefined;
  /** True: Partita's own topics too. */
  readonly includeInternal?: boolean | undefined;
  readonly includePartitions?: boolean | undefined;
}

/** Where a position lies in a partition, and where the partition begins and ends. */
export interface ListedOffset {
  readonly offset: bigint;
  /** Lowest offset that is kept. */
  readonly logStartOffset: bigint;
  /** Offset up to which records are committed, exclusive. */
  readonly highWatermark: bigint;
}

export class Admin extends QuotaAdmin {
  readonly #calls: ServiceCalls;
  readonly #leaders: LeaderCalls;

  constructor(calls: ServiceCalls, leaders: LeaderCalls) {
    super(calls);
    this.#calls = calls;
    this.#leaders = leaders;
  }

  /** Answers when every partition has a leader. Rejects with TOPIC_ALREADY_EXISTS, INVALID_SETTING, … */
  async createTopic(topic: NewTopic, options?: ServiceCallOptions): Promise<Topic> {
    const request = {
      topic: Topic.fromPartial({
        name: topic.name,
        partitionCount: topic.partitionCount ?? 1,
        replicationFactor: topic.replicationFactor ?? 0,
        ...(topic.settings === undefined ? {} : { settings: TopicSettings.fromPartial(topic.settings) }),
      }),
      requestId: JITTER.uuid(),
      validateOnly: topic.validateOnly ?? false,
    };
    const answer = await this.#calls.call('coordinator', TopicServiceService.createTopic, request, options);
    return present(answer.topic, topic.name);
  }

  /** By name or id, with partitions. Rejects with TOPIC_NOT_FOUND. */
  async getTopic(topic: string, options?: ServiceCallOptions): Promise<Topic> {
    const answer = await this.#calls.call('coordinator', TopicServiceService.getTopic, { topic }, options);
    return present(answer.topic, topic);
  }

  /** Topics by name, page by page. */
  async *listTopics(options: ListTopicsOptions = {}): AsyncGenerator<Topic, void, undefined> {
    for (let pageToken = ''; ;) {
      const request = {
        pageSize: PAGE_SIZE_MAX,
        pageToken,
        includeInternal: options.includeInternal ?? false,
        namePrefix: options.namePrefix ?? '',
        includePartitions: options.includePartitions ?? false,
      };
      const page = await this.#calls.call('coordinator', TopicServiceService.listTopics, request);
      yield* page.topics;
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  /** Changes the settings named in `change.settings`. */
  async updateTopic(name: string, change: TopicChange, options?: ServiceCallOptions): Promise<Topic> {
    const { etag = '', replicationFactor } = change;
    const paths = Object.keys(change.settings).map((key) => `settings.${snakeCase(key)}`);
    if (replicationFactor !== undefined) paths.push('replication_factor');
    const settings = TopicSettings.fromPartial(change.settings);
    const request = {
      topic: Topic.fromPartial({ name, etag, settings, replicationFactor: replicationFactor ?? 0 }),
      updateMask: paths,
      validateOnly: change.validateOnly ?? false,
      requestId: JITTER.uuid(),
    };
    const answer = await this.#calls.call('coordinator', TopicServiceService.updateTopic, request, options);
    return present(answer.topic, name);
  }

  /** Answers when the deletion is durable; disks are cleared afterwards. */
  async deleteTopic(name: string, etag = '', options?: ServiceCallOptions): Promise<void> {
    const request = { topic: name, etag, requestId: JITTER.uuid() };
    await this.#calls.call('coordinator', TopicServiceService.deleteTopic, request, options);
  }

  /**
   * Offset of a position, asked of the partition's leader: the high watermark when no record is that young. Rejects with
   * TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, LEADER_NOT_AVAILABLE.
   */
  async listOffset(
    topic: string,
    partition: number,
    position: Position,
    options?: ServiceCallOptions,
  ): Promise<ListedOffset> {
    const entries = [{ topicId: '', topic, partition, position: offsetSpec(position), withLag: false }];
    const call = {
      method: BrokerServiceService.listOffsets,
      request: { entries },
      resultOf: ({ results: [result] }: ListOffsetsResponse): ListedOffset => {
        if (result === undefined) throw refused('INTERNAL', `the leader answered without an offset of "${topic}"`);
        if (result.error !== undefined) throw fromRpcStatus(result.error);
        return result;
      },
    };
    return this.#leaders.call({ topic, partition }, call, options);
  }

  /**
   * Deletes the records below an offset, which is at most the high watermark; answers the new log start, durable. At or
   * below the present one nothing changes. Rejects with OFFSET_OUT_OF_RANGE, INTERNAL_TOPIC and what listOffset does.
   */
  async deleteRecords(
    topic: string,
    partition: number,
    beforeOffset: bigint,
    options?: ServiceCallOptions,
  ): Promise<bigint> {
    const call = {
      method: BrokerServiceService.deleteRecords,
      request: { topic, partition, beforeOffset },
      resultOf: ({ logStartOffset }: DeleteRecordsResponse) => logStartOffset,
    };
    return this.#leaders.call({ topic, partition }, call, options);
  }

  /** Producer sessions that the partition's leader remembers, and how many requests, page by page. */
  async *describeProducers(
    topic: string,
    partition: number,
    options?: ServiceCallOptions,
  ): AsyncGenerator<DescribeProducersResponse, void, undefined> {
    for (let pageToken = ''; ;) {
      const call = {
        method: BrokerServiceService.describeProducers,
        request: { topic, partition, pageSize: PAGE_SIZE_MAX, pageToken },
        resultOf: (response: DescribeProducersResponse) => response,
      };
      const page = await this.#leaders.call({ topic, partition }, call, options);
      yield page;
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  /** Endpoints, limits and versions, as any service knows them. */
  async getCluster(): Promise<GetClusterResponse> {
    await this.#calls.endpoints.discover().catch((error: unknown) => {
      throw clientError(error);
    });
    const cluster = this.#calls.endpoints.cluster;
    if (cluster === undefined) throw refused('SERVICE_UNREACHABLE', 'no address of the cluster answers');
    return cluster;
  }

  /** Brokers, their load, and with `includePartitions` every partition. */
  describeCluster(includePartitions = false, options?: ServiceCallOptions): Promise<DescribeClusterResponse> {
    return this.#calls.call('coordinator', ClusterServiceService.describeCluster, { includePartitions }, options);
  }

  /**
   * Elects the broker named, 0 = the preferred one, among replicas with equal logs; without partitions wherever the preferred
   * one does not lead. A result with a reason tells what was in the way.
   */
  async electLeaders(
    partitions: readonly PartitionRef[],
    brokerId = 0,
    options?: ServiceCallOptions,
  ): Promise<ElectionResult[]> {
    const request = { partitions: [...partitions], brokerId };
    return (await this.#calls.call('coordinator', ClusterServiceService.electLeaders, request, options)).results;
  }

  /** Makes a replica leader that may lack committed records. Rejects with REPLICA_NOT_FOUND, LEADER_NOT_AVAILABLE. */
  async forceLeader(
    partition: PartitionRef,
    brokerId: number,
    justification: string,
    options?: ServiceCallOptions,
  ): Promise<ElectionResult> {
    const request = { partition, brokerId, acceptDataLoss: true, justification };
    const answer = await this.#calls.call('coordinator', ClusterServiceService.forceLeader, request, options);
    return elected(answer.result);
  }

  /** Elects the best log of all replicas, suspect ones too. Rejects with LEADER_NOT_AVAILABLE unless all answer. */
  async recoverBestLog(
    partition: PartitionRef,
    justification: string,
    options?: ServiceCallOptions,
  ): Promise<ElectionResult> {
    const request = { partition, acceptDataLoss: true, justification };
    const answer = await this.#calls.call('coordinator', ClusterServiceService.recoverBestLog, request, options);
    return elected(answer.result);
  }

  /** What was changed by whom, newest first, page by page. */
  async *listAuditEntries(): AsyncGenerator<AuditEntry, void, undefined> {
    for (let pageToken = ''; ;) {
      const request = { pageSize: PAGE_SIZE_MAX, pageToken };
      const page = await this.#calls.call('coordinator', ClusterServiceService.listAuditEntries, request);
      yield* page.entries;
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }
}

function present(topic: Topic | undefined, name: string): Topic {
  if (topic === undefined) throw refused('INTERNAL', `the coordinator answered without the topic "${name}"`);
  return topic;
}

function elected(result: ElectionResult | undefined): ElectionResult {
  if (result === undefined) throw refused('INTERNAL', 'the coordinator answered without the result of the election');
  return result;
}

/** `retentionAge` is `retention_age` in a field mask. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
