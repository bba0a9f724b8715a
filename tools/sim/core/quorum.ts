/** The election quorum, written down a second time: what is checked must not be what checks. */
import type { ReplicaConfig } from '@partita/replication';

/** E: meets every set of m replicas, and every other E. */
export function electionQuorumOf({ replicas, minInSyncReplicas }: ReplicaConfig): number {
  const majority = Math.ceil((replicas.length + 1) / 2);
  const meetsWrites = replicas.length + 1 - minInSyncReplicas;
  return majority > meetsWrites ? majority : meetsWrites;
}
