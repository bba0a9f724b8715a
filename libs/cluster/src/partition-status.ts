/** What follows from a partition and its brokers: whether it can elect a leader, and how it looks to operators. */
import { partitionKey } from '@partita/domain';
import type { ClusterBroker, ClusterPartition, ClusterState } from './cluster-state.ts';
import type { ReplicaConfig, ReplicaIdentity, ReplicaReport } from './inventory.ts';

/** `lossy`: online, but its leader was made with possible loss. */
export type PartitionStatus = 'online' | 'electing' | 'offline' | 'lossy';

/**
 * Replicas that an election of R replicas with min ISR m needs, so that it meets every set of m that may have committed
 * a record, and every other election.
 */
export function electionQuorum(replicaCount: number, minInSyncReplicas: number): number {
  return Math.max(replicaCount - minInSyncReplicas + 1, Math.floor(replicaCount / 2) + 1);
}

/** The broker that has this very replica and answers, with its report. */
export function liveReplica(
  state: ClusterState,
  topicId: string,
  partition: number,
  identity: ReplicaIdentity,
): { readonly broker: ClusterBroker; readonly report: ReplicaReport } | undefined {
  const broker = state.broker(identity.brokerId);
  if (broker === undefined || broker.facts.status === 'down' || broker.facts.directoryId !== identity.directoryId)
    return undefined;
  const report = broker.replicas.get(partitionKey({ topicId, partition }));
  return report !== undefined && report.replicaId === identity.replicaId ? { broker, report } : undefined;
}

/** Members of a config that answer and may count. */
export function countingReplicas(
  state: ClusterState,
  topicId: string,
  partition: number,
  config: ReplicaConfig,
): { readonly identity: ReplicaIdentity; readonly broker: ClusterBroker }[] {
  return config.replicas.flatMap((identity) => {
    const live = liveReplica(state, topicId, partition, identity);
    return live !== undefined && !live.report.suspect ? [{ identity, broker: live.broker }] : [];
  });
}

/** True when a live replica knows that a newer set than the one known here is committed, which only its log names. */
function isOvertakenConfig(state: ClusterState, topicId: string, { partition, config }: ClusterPartition): boolean {
  const key = partitionKey({ topicId, partition });
  return [...state.brokers()].some(
    ({ facts, replicas }) =>
      facts.status !== 'down' && (replicas.get(key)?.configFloor ?? 0) > (config?.configVersion ?? 0),
  );
}

/** True when enough replicas answer for an election, or what an election needs can only be found by trying. */
export function canElect(state: ClusterState, topicId: string, partition: ClusterPartition): boolean {
  const { config } = partition;
  if (config === undefined || config.replicas.length === 0) return false;
  const needed = electionQuorum(config.replicas.length, config.minInSyncReplicas);
  const counting = countingReplicas(state, topicId, partition.partition, config).length;
  return counting >= needed || isOvertakenConfig(state, topicId, partition);
}

export function partitionStatus(state: ClusterState, topicId: string, partition: ClusterPartition): PartitionStatus {
  if (partition.live) return partition.lossy ? 'lossy' : 'online';
  return canElect(state, topicId, partition) ? 'electing' : 'offline';
}
