/**
 * What can happen to a cluster, as facts. Commands decide on records, `ClusterState.apply` is the only code that changes
 * state, so that a live change, a directory read back and an inventory merged all go one path.
 */
import type { ClusterSettings } from './cluster-settings.ts';
import type { ReplicaConfig, ReplicaReport, Tombstone, TopicDefinition } from './inventory.ts';
import type { Reassignment } from './replica-sets/reassignment.ts';

/**
 * `creating`: not seen by clients yet. `found`: a broker holds it, and whether its creation was completed is not known: its
 * route is shown, and nobody is told that it was made. `deleting`: clients do not see it any more, tombstones are being stored.
 */
export type TopicLife = 'creating' | 'found' | 'active' | 'deleting';
export type BrokerStatus = 'up' | 'draining' | 'down';

/** A broker as the directory knows it. */
export interface BrokerFacts {
  readonly brokerId: number;
  readonly directoryId: string;
  readonly incarnation: bigint;
  readonly address: string;
  readonly peerAddress: string;
  readonly rack: string;
  readonly version: string;
  readonly status: BrokerStatus;
  /** Since when it is in this state, milliseconds UTC. */
  readonly sinceMs: number;
}

/** A gateway or consumer-group instance with a live session. */
export interface InstanceFacts {
  readonly instanceId: string;
  readonly service: 'gateway' | 'consumer_group' | 'console';
  readonly address: string;
  readonly peerAddress: string;
  readonly version: string;
  /** True = it is about to stop: it is given no group shard any more. */
  readonly draining: boolean;
}

interface OfPartition {
  readonly topicId: string;
  readonly partition: number;
}

export type ClusterRecord =
  /** A topic is new, or has a newer definition. `name` differs from the definition's only for a parked topic. */
  | {
      readonly type: 'topic_put';
      readonly definition: TopicDefinition;
      readonly name: string;
      readonly life: TopicLife;
    }
  | { readonly type: 'topic_activated'; readonly topicId: string }
  | { readonly type: 'topic_deleting'; readonly topicId: string }
  /** The topic is gone, if it was there, and its id never comes back. */
  | { readonly type: 'topic_buried'; readonly tombstone: Tombstone }
  | (OfPartition & { readonly type: 'config_learned'; readonly config: ReplicaConfig })
  /** An epoch was seen somewhere: the next election goes above it. */
  | (OfPartition & { readonly type: 'epoch_seen'; readonly epoch: number })
  | (OfPartition & {
      readonly type: 'leader_known';
      readonly epoch: number;
      readonly leader: number;
      readonly inSync: readonly number[];
      readonly inSyncVersion: number;
      /** False = the directory says so, but nobody has heard it from the broker. */
      readonly live: boolean;
    })
  | (OfPartition & { readonly type: 'leader_lost' })
  /** The leader of this epoch was made with possible loss. */
  | (OfPartition & { readonly type: 'partition_lossy'; readonly epoch: number })
  /** The leader of this epoch has other replicas in sync. */
  | (OfPartition & {
      readonly type: 'in_sync_changed';
      readonly epoch: number;
      readonly inSync: readonly number[];
      readonly inSyncVersion: number;
    })
  | { readonly type: 'broker_put'; readonly broker: BrokerFacts }
  | {
      readonly type: 'replicas_reported';
      readonly brokerId: number;
      readonly replicas: readonly ReplicaReport[];
      /** True = all that it holds; false = what changed. */
      readonly complete: boolean;
    }
  /** The broker has removed its replicas of a deleted topic. */
  | { readonly type: 'replicas_deleted'; readonly brokerId: number; readonly topicId: string }
  /** The broker has removed its replica of a partition, which lives on elsewhere. */
  | (OfPartition & { readonly type: 'replica_deleted'; readonly brokerId: number })
  /** Moves were asked for, or have come to an end. An older version than the known one changes nothing. */
  | { readonly type: 'reassignment_put'; readonly reassignment: Reassignment }
  | { readonly type: 'reassignment_removed'; readonly reassignmentId: string }
  | { readonly type: 'disk_reported'; readonly brokerId: number; readonly freeBytes: bigint }
  | { readonly type: 'broker_rumoured'; readonly brokerIds: readonly number[] }
  /** Newer settings of the cluster. A removed broker that is down is forgotten with them. */
  | { readonly type: 'settings_put'; readonly settings: ClusterSettings }
  | { readonly type: 'instance_put'; readonly instance: InstanceFacts }
  | { readonly type: 'instance_removed'; readonly instanceId: string }
  | { readonly type: 'shard_assigned'; readonly shard: number; readonly instanceId: string };

/** Records to apply, in order, and what to answer. */
export interface Decision<Response> {
  readonly records: readonly ClusterRecord[];
  readonly response: Response;
}
