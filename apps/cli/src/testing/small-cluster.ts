/** A cluster of one real server that does just enough: one topic "t" with two partitions, in memory. */
import { decodeBatch } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import {
  AppendAck,
  BrokerServiceService,
  ClusterServiceService,
  ConsumedRecord,
  DescribeClusterResponse,
  DescribeGroupResponse,
  DescribeProducersResponse,
  GetClusterResponse,
  GetRoutesResponse,
  GroupServiceService,
  GroupState,
  ListOffsetsResponse,
  PartitionDescription,
  ProducerServiceService,
  Record as WireRecord,
  ServiceKind,
  SettingSource,
  Topic,
  TopicServiceService,
} from '@partita/protocol';
import type {
  GroupPartition,
  GroupSummary,
  ProduceBatchFrame,
  ProduceStreamRequest,
  ProduceStreamResponse,
  ResetOffsetsRequest,
  UpdateTopicRequest,
} from '@partita/protocol';
import { bidi, createRpcServer, unary } from '@partita/rpc/server';
import type { RpcServer } from '@partita/rpc/server';
import { MovingCluster } from './moving-cluster.ts';
import { QuotaList } from './quota-list.ts';

const TOPIC_ID = '00000000-0000-7000-8000-000000000001';
const nothing = (): void => {};

const replicas = [1, 2].map((brokerId) => ({ brokerId }));
const inSync = PartitionDescription.fromPartial({
  topic: 't',
  partition: { partition: 0, leaderId: 1, leaderEpoch: 2, replicas, inSyncIds: [1, 2], state: 1 },
  highWatermark: 9n,
});
const behind = PartitionDescription.fromPartial({
  topic: 't',
  partition: { partition: 1, leaderId: 0, leaderEpoch: 2, replicas, inSyncIds: [1], state: 3 },
  highWatermark: 9n,
  replicaLags: [{ brokerId: 2, lagRecords: 7n, lagAge: { seconds: 12n, nanos: 0 }, logEndOffset: 2n, suspect: true }],
});

export class SmallCluster {
  readonly logs: [WireRecord[], WireRecord[]] = [[], []];
  /** Lowest offset kept of each partition. */
  readonly logStarts = [0n, 0n];
  /** Groups with where they stand. */
  readonly groups = new Map<string, readonly GroupPartition[]>();
  /** Resets of offsets that were asked for. */
  readonly resets: ResetOffsetsRequest[] = [];
  /** Changes of topics that were asked for. */
  readonly updates: UpdateTopicRequest[] = [];
  /** Why elections with possible loss were asked for. */
  readonly reasons: string[] = [];
  readonly moving = new MovingCluster();
  readonly quotas = new QuotaList();
  readonly #server: RpcServer = createRpcServer({
    name: 'spec',
    listen: '127.0.0.1:0',
    limits: 'public',
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    tracing: 'off',
  });
  address = '';

  async start(): Promise<void> {
    this.#addCluster();
    this.#addTopics();
    this.#addProducer();
    this.#addGroups();
    this.#addBroker();
    ({ address: this.address } = await this.#server.start());
  }

  close(): void {
    this.#server.close();
  }

  #addCluster(): void {
    const kinds = [
      ServiceKind.SERVICE_KIND_GATEWAY,
      ServiceKind.SERVICE_KIND_COORDINATOR,
      ServiceKind.SERVICE_KIND_CONSUMER_GROUP,
    ];
    this.#server.addService(ClusterServiceService, {
      ...this.moving.methods(),
      ...this.quotas.methods(),
      getCluster: unary(() =>
        GetClusterResponse.fromPartial({ endpoints: kinds.map((service) => ({ service, address: this.address })) }),
      ),
      getRoutes: unary(() =>
        GetRoutesResponse.fromPartial({
          // Every key belongs to partition 1.
          routes: [
            {
              topic: 't',
              topicId: TOPIC_ID,
              recordBytesMax: 1024 * 1024,
              partitions: [
                { partition: 0, leaderId: 1, leaderEpoch: 1, hashMin: 0, hashMax: 0 },
                { partition: 1, leaderId: 1, leaderEpoch: 1, hashMin: 1, hashMax: 0xffff_ffff },
              ],
            },
          ],
          brokers: [{ brokerId: 1, address: this.address }],
        }),
      ),
      describeCluster: unary(({ includePartitions }) =>
        DescribeClusterResponse.fromPartial({
          clusterId: 'c',
          partitionCount: 2,
          brokers: this.moving.describeBrokers(),
          partitions: includePartitions ? [inSync, behind] : [],
        }),
      ),
      electLeaders: unary(({ partitions, brokerId }) => ({
        results: partitions.map((partition) => ({
          partition,
          leaderId: 1,
          leaderEpoch: 2,
          errorReason: brokerId === 9 ? 'REPLICA_NOT_FOUND' : '',
        })),
      })),
      forceLeader: unary(({ partition, brokerId: leaderId, justification }) => {
        this.reasons.push(justification);
        return { result: { partition, leaderId, leaderEpoch: 3, errorReason: '' } };
      }),
      recoverBestLog: unary(({ partition, justification }) => {
        this.reasons.push(justification);
        return { result: { partition, leaderId: 2, leaderEpoch: 4, errorReason: '' } };
      }),
      listAuditEntries: unary(() => ({
        entries: [1n, 0n].map((seconds) => ({
          time: { seconds, nanos: 0 },
          operation: 'topic_create',
          resource: 't',
          clientId: 'ann',
          detailsJson: '{"partitions":2}',
        })),
        nextPageToken: '',
      })),
    });
  }

  #addTopics(): void {
    this.#server.addService(TopicServiceService, {
      createTopic: unary(({ topic }) => ({ topic: Topic.fromPartial({ ...topic, replicationFactor: 3, state: 2 }) })),
      getTopic: unary(({ topic }) => {
        if (topic === 't') return { topic: Topic.fromPartial({ name: 't', partitionCount: 2 }) };
        throw new PartitaError('TOPIC_NOT_FOUND', `no topic "${topic}"; create it: npx partita topic create ${topic}`, {
          topic,
        });
      }),
      listTopics: unary(() => ({
        topics: [Topic.fromPartial({ name: 't', partitionCount: 2, replicationFactor: 3, state: 2 })],
        nextPageToken: '',
      })),
      updateTopic: unary((request) => {
        this.updates.push(request);
        const effectiveSettings = [
          { name: 'retention_age', value: '7d', source: SettingSource.SETTING_SOURCE_TOPIC },
          { name: 'flush', value: 'fsync', source: SettingSource.SETTING_SOURCE_DEFAULT },
        ];
        return { topic: Topic.fromPartial({ name: request.topic?.name ?? '', state: 2, effectiveSettings }) };
      }),
      deleteTopic: unary(() => ({ topic: undefined })),
    });
  }

  #addProducer(): void {
    this.#server.addService(ProducerServiceService, {
      produceStream: bidi<ProduceStreamRequest, ProduceStreamResponse>((stream) => ({
        onMessage: ({ message }) => {
          if (message?.$case === 'initial') {
            const ready = { heartbeatMs: 1000, framesInFlightMax: 100, bytesInFlightMax: 8_000_000n };
            stream.send({ message: { $case: 'ready', ready } });
          }
          if (message?.$case === 'batch')
            stream.send({ message: { $case: 'result', result: this.#store(message.batch) } });
        },
      })),
    });
  }

  #store({ frameId, partition, recordBatches }: ProduceBatchFrame) {
    const log = this.logs[partition === 0 ? 0 : 1];
    const baseOffset = BigInt(log.length);
    const { records } = decodeBatch(recordBatches, 0);
    for (const record of records) log.push(WireRecord.fromPartial({ ...record, headers: [...record.headers] }));
    const ack = AppendAck.fromPartial({ partition, baseOffset, leaderEpoch: 1, recordCount: records.length });
    const results = [{ partition, recordIndexes: [], outcome: { $case: 'ack' as const, ack } }];
    return { frameId, outcome: { $case: 'response' as const, response: { results } } };
  }

  #addGroups(): void {
    this.#server.addService(GroupServiceService, {
      readRecords: unary(async ({ partition, start, maxRecords, maxWaitMs }) => {
        const log = this.logs[partition === 0 ? 0 : 1];
        const from = start?.position?.$case === 'offset' ? Number(start.position.offset) : 0;
        const records = log
          .slice(from, from + maxRecords)
          .map((record, index) => ConsumedRecord.fromPartial({ offset: BigInt(from + index), record }));
        if (records.length === 0) await new Promise((resolve) => setTimeout(resolve, Math.min(50, maxWaitMs)));
        const nextOffset = BigInt(from + records.length);
        return { records, nextOffset, highWatermark: BigInt(log.length), logStartOffset: 0n, endReached: false };
      }),
      listGroups: unary(() => ({ groups: [...this.groups.keys()].map(groupSummary), nextPageToken: '' })),
      describeGroup: unary(({ group }) => this.#describeGroup(group)),
      resetOffsets: unary((request) => {
        this.resets.push(request);
        return {
          moves: [
            { partition: 0, oldOffset: 2n, newOffset: 1n },
            { partition: 1, newOffset: 0n },
          ],
        };
      }),
      deleteGroup: unary(({ group }) => {
        this.#describeGroup(group);
        this.groups.delete(group);
        return {};
      }),
    });
  }

  #addBroker(): void {
    this.#server.addService(BrokerServiceService, {
      listOffsets: unary(({ entries: [entry] }) => {
        const partition = entry?.partition === 0 ? 0 : 1;
        const highWatermark = BigInt(this.logs[partition].length);
        const position = entry?.position?.position;
        const offset = position?.$case === 'offset' ? position.offset : highWatermark;
        return ListOffsetsResponse.fromPartial({
          results: [{ offset, logStartOffset: this.logStarts[partition] ?? 0n, highWatermark }],
        });
      }),
      describeProducers: unary(({ pageToken }) =>
        DescribeProducersResponse.fromPartial({
          producers: [{ producerId: Buffer.alloc(16, pageToken === '' ? 1 : 2), lastSequence: 6n, lastOffset: 8n }],
          nextPageToken: pageToken === '' ? 'more' : '',
          requestCount: 3,
        }),
      ),
      deleteRecords: unary(({ partition, beforeOffset }) => {
        if (beforeOffset > BigInt(this.logs[partition === 0 ? 0 : 1].length)) {
          throw new PartitaError('OFFSET_OUT_OF_RANGE', 'above the high watermark');
        }
        this.logStarts[partition] = beforeOffset;
        return { logStartOffset: beforeOffset };
      }),
    });
  }

  #describeGroup(group: string): DescribeGroupResponse {
    const partitions = this.groups.get(group);
    if (partitions === undefined) throw new PartitaError('GROUP_NOT_FOUND', `there is no group "${group}"`, { group });
    const owner = { ownerAddress: this.address, assignor: 'sticky' };
    return DescribeGroupResponse.fromPartial({ ...owner, summary: groupSummary(group), partitions: [...partitions] });
  }
}

function groupSummary(group: string): GroupSummary {
  return { group, state: GroupState.GROUP_STATE_STABLE, memberCount: 1, groupEpoch: 3 };
}
