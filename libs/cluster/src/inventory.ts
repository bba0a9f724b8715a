/**
 * What brokers report of their disks: the truth from which the directory can always be rebuilt. Plain data, converted from
 * the peer protocol at the edge.
 */
import type { ClusterSettings } from './cluster-settings.ts';
import type { KeyRange } from './topics/key-ranges.ts';
import type { TopicSettings } from './topics/topic-settings.ts';

/** A replica's identity: a fresh disk under an old broker id, or a replica made again, is another one. */
export interface ReplicaIdentity {
  readonly brokerId: number;
  readonly directoryId: string;
  readonly replicaId: string;
}

export function sameReplica(a: ReplicaIdentity, b: ReplicaIdentity): boolean {
  return a.brokerId === b.brokerId && a.directoryId === b.directoryId && a.replicaId === b.replicaId;
}

/** A partition's replica set. The version grows by one with each change; the first is 1. */
export interface ReplicaConfig {
  readonly configVersion: number;
  /** Preferred leader first. */
  readonly replicas: readonly ReplicaIdentity[];
  readonly learners: readonly ReplicaIdentity[];
  readonly minInSyncReplicas: number;
  readonly flush: 'fsync' | 'os';
}

/** True when both have the same members, learners and m: of one version there may be two, until one of them is committed. */
export function sameConfig(a: ReplicaConfig, b: ReplicaConfig): boolean {
  return (
    a.configVersion === b.configVersion &&
    a.minInSyncReplicas === b.minInSyncReplicas &&
    sameReplicas(a.replicas, b.replicas) &&
    sameReplicas(a.learners, b.learners)
  );
}

function sameReplicas(a: readonly ReplicaIdentity[], b: readonly ReplicaIdentity[]): boolean {
  return a.length === b.length && a.every((replica) => b.some((other) => sameReplica(replica, other)));
}

/** A topic as brokers store it. Of two of one id the higher version holds. */
export interface TopicDefinition {
  readonly topicId: string;
  readonly name: string;
  readonly version: bigint;
  readonly ranges: readonly KeyRange[];
  readonly replicationFactor: number;
  readonly settings: TopicSettings;
  /** Milliseconds UTC. */
  readonly createTimeMs: number;
  /** Request id of the creation, or empty. */
  readonly requestId: string;
}

/** What stays of a deleted topic, so that it does not come back. */
export interface Tombstone {
  readonly topicId: string;
  /** Name at the deletion; empty when only a broker remembers it. */
  readonly name: string;
  readonly deleteId: string;
  /** Milliseconds UTC. */
  readonly deleteTimeMs: number;
}

/** A replica as its broker sees it. */
export interface ReplicaReport {
  readonly topicId: string;
  readonly partition: number;
  readonly replicaId: string;
  readonly promisedEpoch: number;
  /** Epoch of the last batch; 0 = the log is empty. */
  readonly lastEpoch: number;
  readonly logEndOffset: bigint;
  readonly highWatermark: bigint;
  readonly logStartOffset: bigint;
  readonly logBytes: bigint;
  /** True = does not count in elections and cannot lead. */
  readonly suspect: boolean;
  /** Epoch that it leads at the moment; 0 = does not lead. */
  readonly leadingEpoch: number;
  /** Broker from which it has a live stream; 0 = none. */
  readonly followingId: number;
  /** The newest that it knows to be committed and has. */
  readonly config: ReplicaConfig | undefined;
  /** Newest config version that it knows to be committed; above `config` where its log has lost that one. */
  readonly configFloor: number;
}

/** A broker as it introduces itself. */
export interface BrokerRegistration {
  readonly brokerId: number;
  readonly directoryId: string;
  /** Number of the directory's start. */
  readonly incarnation: bigint;
  readonly address: string;
  readonly peerAddress: string;
  readonly rack: string;
  readonly version: string;
  readonly replicas: readonly ReplicaReport[];
  readonly topics: readonly TopicDefinition[];
  readonly tombstones: readonly Tombstone[];
  /** Ids of all brokers that it has heard of. */
  readonly knownBrokerIds: readonly number[];
  /** The newest settings of the cluster that it has stored. */
  readonly settings?: ClusterSettings | undefined;
}
