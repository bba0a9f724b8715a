/** The cluster as the command line prints it. */
import { BrokerState, PartitionState, ServiceKind } from '@partita/protocol';
import type { DescribeClusterResponse, Duration, PartitionDescription } from '@partita/protocol';
import { enumWord, timeText } from './json.ts';

export function describeCluster(cluster: DescribeClusterResponse) {
  return {
    clusterId: cluster.clusterId,
    metadataStore: cluster.metadataStoreState,
    topicCount: cluster.topicCount,
    partitionCount: cluster.partitionCount,
    underReplicatedCount: cluster.underReplicatedCount,
    offlineCount: cluster.offlineCount,
    endpoints: cluster.endpoints.map((endpoint) => ({
      service: enumWord(ServiceKind, 'SERVICE_KIND_', endpoint.service).replace('_', '-'),
      address: endpoint.address,
      ...(endpoint.brokerId === 0 ? {} : { brokerId: endpoint.brokerId }),
      ...(endpoint.active ? { active: true } : {}),
    })),
    brokers: cluster.brokers.map(({ broker, replicaCount, leaderCount, logBytes, freeBytes }) => ({
      brokerId: broker?.brokerId ?? 0,
      address: broker?.address ?? '',
      state: enumWord(BrokerState, 'BROKER_STATE_', broker?.state ?? 0),
      rack: broker?.rack ?? '',
      version: broker?.version ?? '',
      startTime: timeText(broker?.startTime),
      replicaCount,
      leaderCount,
      logBytes,
      freeBytes,
    })),
    partitions: cluster.partitions.map(describePartition),
  };
}

export type PartitionView = ReturnType<typeof describePartition>;

function describePartition({
  topic,
  partition,
  highWatermark,
  logStartOffset,
  logBytes,
  replicaLags,
}: PartitionDescription) {
  return {
    topic,
    partition: partition?.partition ?? 0,
    state: enumWord(PartitionState, 'PARTITION_STATE_', partition?.state ?? 0),
    leader: partition?.leaderId ?? 0,
    leaderEpoch: partition?.leaderEpoch ?? 0,
    replicas: partition?.replicas.map(({ brokerId }) => brokerId) ?? [],
    inSync: partition?.inSyncIds ?? [],
    logStartOffset,
    highWatermark,
    logBytes,
    lags: replicaLags.map(({ brokerId, lagRecords, lagAge, logEndOffset, suspect }) => ({
      brokerId,
      logEndOffset,
      lagRecords,
      lagMs: milliseconds(lagAge),
      suspect,
    })),
  };
}

function milliseconds(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1000 + Math.round(duration.nanos / 1e6);
}
