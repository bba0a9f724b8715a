/** ClusterService of a coordinator: the directory as every service tells it, and the cluster in detail. */
import { partitionKey } from '@partita/domain';
import type { ClusterBroker, ClusterPartition, ClusterTopic } from '@partita/cluster';
import { partitionStatus } from '@partita/cluster';
import { ClusterServiceService } from '@partita/protocol';
import type { BrokerDescription, DescribeClusterResponse, PartitionDescription } from '@partita/protocol';
import { directoryMethods, implement, unary } from '@partita/rpc/server';
import type { DirectoryServiceOptions, DirectoryView, Implementation, RelayChoice } from '@partita/rpc/server';
import type { ClusterModel } from './cluster-model.ts';
import { brokerMessage, partitionMessage } from './topic-messages.ts';

export interface ClusterServiceOptions {
  readonly clusterId: string;
  readonly model: ClusterModel;
  readonly view: DirectoryView;
  readonly directory: DirectoryServiceOptions;
  /** `up`, `down`, `suspect` or `embedded`. */
  readonly storeState: () => string;
  readonly relay: RelayChoice;
}

export function clusterService(options: ClusterServiceOptions): Implementation<ClusterServiceService> {
  return implement(ClusterServiceService, {
    ...directoryMethods(options.view, options.directory),
    describeCluster: unary((request) => describe(options, request.includePartitions), { relay: options.relay }),
  });
}

function describe(
  { clusterId, model, view, storeState }: ClusterServiceOptions,
  withPartitions: boolean,
): DescribeClusterResponse {
  const { state } = model;
  const topics = [...state.topics()].filter(({ life }) => life === 'active');
  const partitions = topics.flatMap((topic) => topic.partitions.map((partition) => ({ topic, partition })));
  const counts = new Map<number, { replicas: number; leaders: number }>();
  for (const { partition } of partitions) count(counts, partition);
  return {
    clusterId,
    metadataStoreState: storeState(),
    brokers: [...state.brokers()]
      .sort((a, b) => a.facts.brokerId - b.facts.brokerId)
      .map((broker) => brokerDescription(broker, counts.get(broker.facts.brokerId))),
    topicCount: topics.length,
    partitionCount: partitions.length,
    underReplicatedCount: partitions.filter(
      ({ partition }) => partition.inSync.length < (partition.config?.replicas.length ?? 1),
    ).length,
    offlineCount: partitions.filter(
      ({ topic, partition }) => partitionStatus(state, topic.definition.topicId, partition) !== 'online',
    ).length,
    partitions: withPartitions
      ? partitions.map(({ topic, partition }) => describePartition(model, topic, partition))
      : [],
    endpoints: [...view.snapshot().endpoints],
  };
}

function count(
  counts: Map<number, { replicas: number; leaders: number }>,
  { config, live, leader }: ClusterPartition,
): void {
  for (const { brokerId } of config?.replicas ?? []) {
    const known = counts.get(brokerId) ?? { replicas: 0, leaders: 0 };
    known.replicas += 1;
    if (live && leader === brokerId) known.leaders += 1;
    counts.set(brokerId, known);
  }
}

function brokerDescription(
  broker: ClusterBroker,
  counts: { replicas: number; leaders: number } | undefined,
): BrokerDescription {
  let logBytes = 0n;
  for (const replica of broker.replicas.values()) logBytes += replica.logBytes;
  return {
    broker: brokerMessage(broker.facts),
    replicaCount: counts?.replicas ?? 0,
    leaderCount: counts?.leaders ?? 0,
    logBytes,
    freeBytes: broker.freeBytes,
  };
}

/** Figures are those that the leader last reported, else the last ones of any replica. */
function describePartition(
  { state }: ClusterModel,
  topic: ClusterTopic,
  partition: ClusterPartition,
): PartitionDescription {
  const { topicId } = topic.definition;
  const key = partitionKey({ topicId, partition: partition.partition });
  const reports = (partition.config?.replicas ?? []).flatMap(({ brokerId }) => {
    const report = state.broker(brokerId)?.replicas.get(key);
    return report === undefined ? [] : [{ brokerId, report }];
  });
  const best = (reports.find(({ brokerId }) => brokerId === partition.leader) ?? reports[0])?.report;
  return {
    topic: topic.name,
    partition: partitionMessage(state, topicId, partition),
    highWatermark: best?.highWatermark ?? 0n,
    logStartOffset: best?.logStartOffset ?? 0n,
    logBytes: best?.logBytes ?? 0n,
    replicaLags: reports.map(({ brokerId, report }) => {
      const behind = (best?.logEndOffset ?? 0n) - report.logEndOffset;
      return { brokerId, lagRecords: behind > 0n ? behind : 0n, lagAge: undefined };
    }),
  };
}
