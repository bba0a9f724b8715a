/**
 * The cluster's words as entries of the metadata store, and back. What cannot be read is passed over: the brokers know it
 * better.
 */
import { partitionStatus } from '@partita/cluster';
import type {
  BrokerFacts,
  ClusterPartition,
  ClusterState,
  ClusterTopic,
  ReplicaConfig,
  ReplicaIdentity,
  StoredPartition,
  StoredTopic,
  Tombstone,
} from '@partita/cluster';
import { settingsInForce } from '@partita/cluster';
import type {
  BrokerEntry,
  DirectoryContent,
  GroupHint,
  PartitionEntry,
  PartitionPublication,
  ReplicaIdentity as StoredIdentity,
  TopicEntry,
  TopicTombstone,
} from '@partita/metadata-store';
import { settingsEntry } from './cluster-settings-codec.ts';
import { movesEntry } from './reassignment-codec.ts';
import { decodeStoredSettings, encodeStoredSettings } from './stored-settings.ts';

export function topicEntry({ definition, name, life }: ClusterTopic): TopicEntry {
  const inForce = settingsInForce(definition.settings, definition.replicationFactor);
  return {
    topicId: definition.topicId,
    name,
    partitionCount: definition.ranges.length,
    replicationFactor: definition.replicationFactor,
    minInSync: inForce.minInSyncReplicas,
    flush: inForce.flush,
    version: Number(definition.version),
    state: life === 'found' ? 'creating' : life,
    settings: encodeStoredSettings(definition),
  };
}

/** Undefined when the entry's settings are not of this file's making. */
export function storedTopic(entry: TopicEntry): StoredTopic | undefined {
  const settings = decodeStoredSettings(entry.settings);
  if (settings?.ranges.length !== entry.partitionCount) return undefined;
  return {
    // A deletion that did not end has its tombstones on brokers, or did not happen.
    life: entry.state === 'deleting' ? 'active' : entry.state,
    definition: {
      ...settings,
      topicId: entry.topicId,
      version: BigInt(entry.version),
      replicationFactor: entry.replicationFactor,
    },
  };
}

export function partitionPublication(
  state: ClusterState,
  topicId: string,
  partition: ClusterPartition,
  nowMs: number,
): PartitionPublication {
  const replicas = (partition.config?.replicas ?? []).map(storedIdentity);
  return {
    topicId,
    partition: partition.partition,
    entry: {
      configVersion: partition.config?.configVersion ?? 0,
      replicas,
      // The last leader stays under its epoch: one version of an entry never stands for two owners. `status` tells the rest.
      leader: partition.leader,
      epoch: partition.epoch,
      isr: partition.inSync,
      isrVersion: partition.inSyncVersion,
      status: partitionStatus(state, topicId, partition),
      updatedMs: nowMs,
      config: partition.config && storedConfig(partition.config),
    },
  };
}

function storedConfig({ learners, minInSyncReplicas, flush }: ReplicaConfig): PartitionEntry['config'] {
  return { learners: learners.map(storedIdentity), minInSync: minInSyncReplicas, flush };
}

function storedIdentity({ brokerId, directoryId, replicaId }: ReplicaIdentity): StoredIdentity {
  return { brokerId, dirUuid: directoryId, replicaId };
}

function identity({ brokerId, dirUuid, replicaId }: StoredIdentity): ReplicaIdentity {
  return { brokerId, directoryId: dirUuid, replicaId };
}

/** `known` gives what entries of earlier releases do not hold: there min ISR and flush were the topic's, and nobody learned. */
export function storedPartition(
  { topicId, partition, entry }: PartitionPublication,
  known: ClusterTopic,
): StoredPartition {
  const inForce = settingsInForce(known.definition.settings, known.definition.replicationFactor);
  return {
    topicId,
    partition,
    config: {
      configVersion: entry.configVersion,
      replicas: entry.replicas.map(identity),
      learners: entry.config?.learners.map(identity) ?? [],
      minInSyncReplicas: entry.config?.minInSync ?? inForce.minInSyncReplicas,
      flush: entry.config?.flush ?? inForce.flush,
    },
    epoch: entry.epoch,
    leader: entry.leader,
    inSync: entry.isr,
    inSyncVersion: entry.isrVersion,
    lossy: entry.status === 'lossy',
  };
}

export function brokerEntry(facts: BrokerFacts): BrokerEntry {
  const { brokerId, address, peerAddress, directoryId, incarnation, rack, status, sinceMs } = facts;
  return {
    brokerId,
    address,
    peerAddress,
    dirUuid: directoryId,
    incarnation: String(incarnation),
    rack,
    state: status,
    sinceMs,
  };
}

export function tombstoneEntry({ topicId, name, deleteTimeMs }: Tombstone): TopicTombstone {
  return { topicId, name, deletedMs: deleteTimeMs };
}

/** Which instance shall own a group shard, as the store keeps it: `{"instanceId":"…","address":"host:port"}`. */
export function groupHints(state: ClusterState): GroupHint[] {
  return [...state.shards()].map(([shard, instanceId]) => {
    const address = state.instance(instanceId)?.address ?? '';
    return { shard, value: JSON.stringify({ instanceId, address }) };
  });
}

/** Who owned the shard when the directory was written, and where it listened; undefined when the hint makes no sense. */
export function hintedInstance({ value }: GroupHint): { instanceId: string; address: string } | undefined {
  try {
    const json = JSON.parse(value) as { readonly instanceId?: unknown; readonly address?: unknown } | null;
    if (typeof json?.instanceId !== 'string') return undefined;
    return { instanceId: json.instanceId, address: typeof json.address === 'string' ? json.address : '' };
  } catch {
    return undefined;
  }
}

/** All of it, for a directory that is written anew. */
export function directoryContent(state: ClusterState, nowMs: number): DirectoryContent {
  const topics = [...state.topics()];
  return {
    brokers: [...state.brokers()].map(({ facts }) => brokerEntry(facts)),
    topics: topics.map(topicEntry),
    partitions: topics.flatMap(({ definition, partitions }) =>
      partitions.map((partition) => partitionPublication(state, definition.topicId, partition, nowMs)),
    ),
    tombstones: [...state.tombstones()].map(tombstoneEntry),
    groups: groupHints(state),
    settings: settingsEntry(state.settings()),
    moves: [...state.reassignments.all()].map(movesEntry),
  };
}
