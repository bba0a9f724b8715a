/** The cluster in detail, for operators: brokers with their load, partitions with leaders, in-sync sets and lags. */
import { partitionKey } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { ClusterBroker, ClusterPartition, ClusterTopic, ReplicaReport } from '@partita/cluster';
import type {
  BrokerDescription,
  DescribeClusterResponse,
  Duration,
  PartitionDescription,
  ReplicaLag,
} from '@partita/protocol';
import type { DirectoryView } from '@partita/rpc/server';
import type { ClusterModel } from './cluster-model.ts';
import { brokerMessage, partitionMessage } from './topics/topic-messages.ts';

export interface DescriptionOptions {
  readonly clusterId: string;
  readonly model: ClusterModel;
  readonly view: DirectoryView;
  readonly clock: Clock;
  /** `up`, `down`, `suspect` or `embedded`. */
  readonly storeState: () => string;
}

export function describeCluster(options: DescriptionOptions, withPartitions: boolean): DescribeClusterResponse {
  const { clusterId, model, view, storeState } = options;
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
    underReplicatedCount: partitions.filter(({ topic, partition }) => isUnderReplicated(topic, partition)).length,
    offlineCount: partitions.filter(({ partition }) => !partition.live).length,
    partitions: withPartitions
      ? partitions.map(({ topic, partition }) => describePartition(options, topic, partition))
      : [],
    endpoints: [...view.snapshot().endpoints],
  };
}

/** Some of its replicas are behind or gone, or it has fewer than its topic wants. */
export function isUnderReplicated({ definition }: ClusterTopic, { config, inSync }: ClusterPartition): boolean {
  return inSync.length < Math.max(config?.replicas.length ?? 1, definition.replicationFactor);
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
  { model, clock }: DescriptionOptions,
  topic: ClusterTopic,
  partition: ClusterPartition,
): PartitionDescription {
  const { state } = model;
  const { topicId } = topic.definition;
  const key = partitionKey({ topicId, partition: partition.partition });
  const members = (partition.config?.replicas ?? []).map(({ brokerId }) => ({
    brokerId,
    report: state.broker(brokerId)?.replicas.get(key),
  }));
  const best = (members.find(({ brokerId }) => brokerId === partition.leader) ?? members[0])?.report;
  const nowMs = clock.monotonicMs();
  return {
    topic: topic.name,
    partition: partitionMessage(state, topicId, partition),
    highWatermark: best?.highWatermark ?? 0n,
    logStartOffset: best?.logStartOffset ?? 0n,
    logBytes: best?.logBytes ?? 0n,
    replicaLags: members.map(({ brokerId, report }) => lag(model, brokerId, report, best, nowMs)),
  };
}

/** A replica that was never reported lacks all that there is. */
function lag(
  { progress }: ClusterModel,
  brokerId: number,
  report: ReplicaReport | undefined,
  best: ReplicaReport | undefined,
  nowMs: number,
): ReplicaLag {
  const behind = (best?.logEndOffset ?? 0n) - (report?.logEndOffset ?? best?.logStartOffset ?? 0n);
  const ms = report === undefined ? undefined : progress.behindMs(brokerId, report, nowMs);
  return {
    brokerId,
    lagRecords: behind > 0n ? behind : 0n,
    lagAge: ms === undefined ? undefined : duration(ms),
    logEndOffset: report?.logEndOffset ?? -1n,
    suspect: report?.suspect ?? false,
  };
}

function duration(ms: number): Duration {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round(ms % 1000) * 1e6 };
}
