/** What brokers say and are told, between the peer protocol's messages and the cluster's words. */
import type {
  BrokerRegistration,
  InSyncReport,
  ReplicaConfig,
  ReplicaIdentity,
  ReplicaReport,
  Tombstone,
  TopicDefinition,
} from '@partita/cluster';
import { isUuid, PartitaError } from '@partita/domain';
import { FlushMode } from '@partita/protocol';
import type {
  BrokerRegister,
  IsrEntry,
  Replica,
  ReplicaConfigRecord,
  ReplicaInventory,
  TopicConfig,
  TopicTombstone,
} from '@partita/protocol';
import { settingsFromPeer } from './directory/cluster-settings-codec.ts';
import { settingsFromMessage, settingsMessage } from './topics/setting-messages.ts';

export function registrationFromMessage(message: BrokerRegister): BrokerRegistration {
  if (message.brokerId < 1) throw invalid('broker_id', 'must be at least 1');
  if (!isUuid(message.directoryId)) throw invalid('directory_id', 'must be a lower-case UUID');
  return {
    brokerId: message.brokerId,
    directoryId: message.directoryId,
    incarnation: message.incarnation,
    address: message.address,
    peerAddress: message.peerAddress,
    rack: message.rack,
    version: message.version,
    replicas: message.inventory.map(reportFromMessage),
    topics: message.topics.map(definitionFromMessage),
    tombstones: message.tombstones.map(tombstoneFromMessage),
    knownBrokerIds: message.knownBrokers.map(({ brokerId }) => brokerId),
    settings: message.settings === undefined ? undefined : settingsFromPeer(message.settings),
  };
}

export function reportFromMessage(message: ReplicaInventory): ReplicaReport {
  return {
    topicId: message.topicId,
    partition: message.partition,
    replicaId: message.replicaId,
    promisedEpoch: message.promisedEpoch,
    lastEpoch: message.lastEpoch,
    logEndOffset: message.logEndOffset,
    highWatermark: message.highWatermark,
    logStartOffset: message.logStartOffset,
    logBytes: message.logBytes,
    suspect: message.suspect,
    leadingEpoch: message.leadingEpoch,
    followingId: message.followingId,
    config: message.config === undefined ? undefined : configFromMessage(message.config),
    configFloor: message.configFloor,
  };
}

export function definitionFromMessage(message: TopicConfig): TopicDefinition {
  return {
    topicId: message.topicId,
    name: message.topic,
    version: message.version,
    ranges: message.partitions.map(({ hashMin, hashMax }) => ({ hashMin, hashMax })),
    replicationFactor: message.replicationFactor,
    settings: settingsFromMessage(message.settings),
    createTimeMs: Number(message.createTimeMs),
    requestId: message.requestId,
  };
}

export function definitionMessage(definition: TopicDefinition): TopicConfig {
  return {
    topic: definition.name,
    topicId: definition.topicId,
    version: definition.version,
    partitions: definition.ranges.map((range, partition) => ({ partition, ...range })),
    replicationFactor: definition.replicationFactor,
    settings: settingsMessage(definition.settings),
    createTimeMs: BigInt(definition.createTimeMs),
    requestId: definition.requestId,
  };
}

export function configFromMessage(message: ReplicaConfigRecord): ReplicaConfig {
  return {
    configVersion: message.configVersion,
    replicas: message.replicas.map(identity),
    learners: message.learners.map(identity),
    minInSyncReplicas: message.minInSyncReplicas,
    flush: message.flush === FlushMode.FLUSH_MODE_OS ? 'os' : 'fsync',
  };
}

export function configMessage(config: ReplicaConfig): ReplicaConfigRecord {
  return {
    configVersion: config.configVersion,
    replicas: config.replicas.map(identity),
    learners: config.learners.map(identity),
    minInSyncReplicas: config.minInSyncReplicas,
    flush: config.flush === 'os' ? FlushMode.FLUSH_MODE_OS : FlushMode.FLUSH_MODE_FSYNC,
  };
}

export function tombstoneMessage({ topicId, deleteId, deleteTimeMs }: Tombstone): TopicTombstone {
  return { topicId, deleteId, deleteTimeMs: BigInt(deleteTimeMs) };
}

export function inSyncReport(entry: IsrEntry): InSyncReport {
  return {
    topicId: entry.topicId,
    partition: entry.partition,
    epoch: entry.leaderEpoch,
    inSync: entry.inSyncIds,
    inSyncVersion: entry.isrVersion,
  };
}

export function tombstoneFromMessage({ topicId, deleteId, deleteTimeMs }: TopicTombstone): Tombstone {
  return { topicId, name: '', deleteId, deleteTimeMs: Number(deleteTimeMs) };
}

function identity({ brokerId, directoryId, replicaId }: Replica | ReplicaIdentity): ReplicaIdentity {
  return { brokerId, directoryId, replicaId };
}

function invalid(field: string, why: string): PartitaError {
  return new PartitaError('INVALID_REQUEST', `${field} ${why}`, { field });
}
