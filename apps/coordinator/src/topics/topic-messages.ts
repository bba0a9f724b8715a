/** How topics, partitions, brokers and instances look to clients. */
import { effectiveSettings, partitionStatus, settingsInForce, topicEtag } from '@partita/cluster';
import type { BrokerFacts, ClusterPartition, ClusterState, ClusterTopic, InstanceFacts } from '@partita/cluster';
import { BrokerState, PartitionState, ServiceKind, SettingSource, TimestampType, TopicState } from '@partita/protocol';
import type { Broker, Partition, ServiceEndpoint, Timestamp, Topic, TopicRoute } from '@partita/protocol';
import { settingsMessage } from './setting-messages.ts';

const TOPIC_STATES = {
  creating: TopicState.TOPIC_STATE_CREATING,
  found: TopicState.TOPIC_STATE_CREATING,
  active: TopicState.TOPIC_STATE_ACTIVE,
  deleting: TopicState.TOPIC_STATE_DELETING,
} as const;

const PARTITION_STATES = {
  online: PartitionState.PARTITION_STATE_ONLINE,
  electing: PartitionState.PARTITION_STATE_ELECTING,
  offline: PartitionState.PARTITION_STATE_OFFLINE,
  lossy: PartitionState.PARTITION_STATE_LOSSY,
} as const;

const BROKER_STATES = {
  up: BrokerState.BROKER_STATE_UP,
  draining: BrokerState.BROKER_STATE_DRAINING,
  down: BrokerState.BROKER_STATE_DOWN,
} as const;

const TIMESTAMP_TYPES = {
  create: TimestampType.TIMESTAMP_TYPE_CREATE,
  append: TimestampType.TIMESTAMP_TYPE_APPEND,
} as const;

export const INSTANCE_SERVICES = {
  gateway: ServiceKind.SERVICE_KIND_GATEWAY,
  consumer_group: ServiceKind.SERVICE_KIND_CONSUMER_GROUP,
  console: ServiceKind.SERVICE_KIND_CONSOLE,
} as const;

export function topicMessage(state: ClusterState, topic: ClusterTopic, withPartitions: boolean): Topic {
  const { definition } = topic;
  const partitions = withPartitions ? partitionMessages(state, topic) : [];
  return { ...topicSummary(topic), settings: settingsMessage(definition.settings), partitions };
}

function topicSummary({ definition, name, life }: ClusterTopic): Topic {
  const { topicId, ranges, replicationFactor, settings, version, createTimeMs } = definition;
  return {
    name,
    topicId,
    partitionCount: ranges.length,
    replicationFactor,
    effectiveSettings: effectiveSettings(settings, replicationFactor).map(({ source, ...setting }) => ({
      ...setting,
      source: source === 'topic' ? SettingSource.SETTING_SOURCE_TOPIC : SettingSource.SETTING_SOURCE_DEFAULT,
    })),
    state: TOPIC_STATES[life],
    version,
    etag: topicEtag(definition),
    createTime: timestamp(createTimeMs),
    partitions: [],
  };
}

function partitionMessages(state: ClusterState, { definition, partitions }: ClusterTopic): Partition[] {
  return partitions.map((partition) => partitionMessage(state, definition.topicId, partition));
}

/** A partition without a live leader shows none: nobody would answer there. Its epoch is the last leader's. */
export function partitionMessage(state: ClusterState, topicId: string, partition: ClusterPartition): Partition {
  return {
    partition: partition.partition,
    hashMin: partition.hashMin,
    hashMax: partition.hashMax,
    leaderId: partition.live ? partition.leader : 0,
    leaderEpoch: partition.epoch,
    replicas: (partition.config?.replicas ?? []).map((replica) => ({ ...replica })),
    inSyncIds: [...partition.inSync],
    state: PARTITION_STATES[partitionStatus(state, topicId, partition)],
  };
}

export function routeMessage(state: ClusterState, topic: ClusterTopic): TopicRoute {
  const { topicId, version, settings, replicationFactor } = topic.definition;
  const inForce = settingsInForce(settings, replicationFactor);
  return {
    topic: topic.name,
    topicId,
    version,
    hashFunction: 'xxh32',
    partitions: partitionMessages(state, topic),
    recordBytesMax: inForce.recordBytesMax,
    allowedCodecs: settingsMessage(inForce).allowedCodecs,
    timestampFutureMsMax: BigInt(inForce.timestampFutureMsMax),
    compacted: inForce.cleanupPolicy !== 'delete',
    timestampType: TIMESTAMP_TYPES[inForce.timestampType],
  };
}

export function brokerMessage(facts: BrokerFacts): Broker {
  return {
    brokerId: facts.brokerId,
    address: facts.address,
    rack: facts.rack,
    state: BROKER_STATES[facts.status],
    version: facts.version,
    startTime: timestamp(facts.sinceMs),
  };
}

export function brokerEndpoint(facts: BrokerFacts): ServiceEndpoint {
  return {
    service: ServiceKind.SERVICE_KIND_BROKER,
    address: facts.address,
    brokerId: facts.brokerId,
    instanceId: facts.directoryId,
    active: false,
  };
}

export function instanceEndpoint(instance: InstanceFacts): ServiceEndpoint {
  return {
    service: INSTANCE_SERVICES[instance.service],
    address: instance.address,
    brokerId: 0,
    instanceId: instance.instanceId,
    active: false,
  };
}

export function timestamp(ms: number): Timestamp {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 };
}
