/**
 * Commands on topics. Each is one synchronous step over the state: it throws what the client is told, or answers records
 * and a response. Ids and times come in as arguments.
 */
import {
  isInternalTopic,
  PARTITION_COUNT_MAX,
  PartitaError,
  REPLICATION_FACTOR_DEFAULT,
  REPLICATION_FACTOR_MAX,
  REQUEST_ID_CHARS_MAX,
  topicNameFault,
} from '@partita/domain';
import type { ClusterState, ClusterTopic } from '../cluster-state.ts';
import type { ReplicaConfig, Tombstone, TopicDefinition } from '../inventory.ts';
import { evenKeyRanges } from './key-ranges.ts';
import { electionQuorum } from '../partition-status.ts';
import { isUnfinished } from './creation-fate.ts';
import { placePartitions } from './placement.ts';
import { placementBrokers } from './placement-brokers.ts';
import type { ClusterRecord, Decision } from '../records.ts';
import { checkSettings, settingsInForce } from './topic-settings.ts';
import type { TopicSettings } from './topic-settings.ts';

export interface CreateTopicCommand {
  readonly name: string;
  readonly partitionCount: number;
  /** 0 = the default: three, or as many as there are brokers. */
  readonly replicationFactor: number;
  readonly settings: TopicSettings;
  /** Empty = none. */
  readonly requestId: string;
  /** True for Partita's own topics, which only Partita makes. */
  readonly internal: boolean;
  readonly nowMs: number;
  readonly newId: () => string;
}

/** `existing`: this very request has made it already, or is making it. */
export type CreateTopicResponse =
  | {
      readonly kind: 'created';
      readonly topicId: string;
      readonly definition: TopicDefinition;
      readonly configs: readonly ReplicaConfig[];
    }
  | { readonly kind: 'existing'; readonly topicId: string };

export function createTopic(state: ClusterState, command: CreateTopicCommand): Decision<CreateTopicResponse> {
  checkName(command.name, command.internal);
  checkRequestId(command.requestId);
  const existing = state.topicByName(command.name);
  if (existing !== undefined && command.requestId !== '' && existing.definition.requestId === command.requestId) {
    return { records: [], response: { kind: 'existing', topicId: existing.definition.topicId } };
  }
  if (existing !== undefined) {
    throw new PartitaError('TOPIC_ALREADY_EXISTS', `topic "${command.name}" exists already`, {
      topic: command.name,
      topic_id: existing.definition.topicId,
    });
  }
  const brokers = placementBrokers(state);
  const replicationFactor = checkedReplicationFactor(command.replicationFactor, brokers.length);
  checkPartitionCount(command.partitionCount);
  checkSettings(command.settings, replicationFactor);
  if (brokers.length < replicationFactor) throw tooFewBrokers(replicationFactor, brokers.length);

  const topicId = command.newId();
  const definition: TopicDefinition = {
    topicId,
    name: command.name,
    version: 1n,
    ranges: evenKeyRanges(command.partitionCount),
    replicationFactor,
    settings: command.settings,
    createTimeMs: command.nowMs,
    requestId: command.requestId,
  };
  const configs = firstConfigs(
    state,
    definition,
    placePartitions(command.partitionCount, replicationFactor, brokers),
    command.newId,
  );
  const records: ClusterRecord[] = [{ type: 'topic_put', definition, name: command.name, life: 'creating' }];
  configs.forEach((config, partition) => records.push({ type: 'config_learned', topicId, partition, config }));
  return { records, response: { kind: 'created', topicId, definition, configs } };
}

function checkName(name: string, internal: boolean): void {
  const fault = topicNameFault(name);
  if (fault !== undefined) throw new PartitaError('INVALID_TOPIC_NAME', fault, { topic: name });
  if (isInternalTopic(name) && !internal) {
    throw new PartitaError('INTERNAL_TOPIC', `"${name}": names that begin with __ are Partita's own; choose another`, {
      topic: name,
    });
  }
}

function checkRequestId(requestId: string): void {
  if (requestId.length <= REQUEST_ID_CHARS_MAX) return;
  throw new PartitaError('INVALID_REQUEST', `request_id has at most ${REQUEST_ID_CHARS_MAX} characters`, {
    field: 'request_id',
  });
}

function checkedReplicationFactor(wanted: number, liveBrokers: number): number {
  if (wanted === 0) return Math.max(1, Math.min(REPLICATION_FACTOR_DEFAULT, liveBrokers));
  if (wanted >= 1 && wanted <= REPLICATION_FACTOR_MAX) return wanted;
  throw new PartitaError(
    'INVALID_SETTING',
    `replication_factor must be 0 (default) to ${REPLICATION_FACTOR_MAX}; it is ${wanted}`,
    { setting: 'replication_factor', value: String(wanted) },
  );
}

function checkPartitionCount(count: number): void {
  if (count >= 1 && count <= PARTITION_COUNT_MAX) return;
  const reason = count > PARTITION_COUNT_MAX ? 'LIMIT_EXCEEDED' : 'INVALID_SETTING';
  throw new PartitaError(reason, `partition_count must be 1 to ${PARTITION_COUNT_MAX}; it is ${count}`, {
    setting: 'partition_count',
    value: String(count),
    limit: String(PARTITION_COUNT_MAX),
  });
}

function tooFewBrokers(needed: number, live: number): PartitaError {
  const message = `${needed} live broker${needed === 1 ? ' is' : 's are'} needed and ${live} answer${live === 1 ? 's' : ''}: start more brokers, or wait for them`;
  return new PartitaError('NOT_ENOUGH_BROKERS', message, { needed: String(needed), live: String(live) });
}

function firstConfigs(
  state: ClusterState,
  { settings, replicationFactor }: TopicDefinition,
  placement: readonly (readonly number[])[],
  newId: () => string,
): ReplicaConfig[] {
  const { minInSyncReplicas, flush } = settingsInForce(settings, replicationFactor);
  return placement.map((brokerIds) => ({
    configVersion: 1,
    replicas: brokerIds.map((brokerId) => ({
      brokerId,
      directoryId: state.broker(brokerId)?.facts.directoryId ?? '',
      replicaId: newId(),
    })),
    learners: [],
    minInSyncReplicas,
    flush,
  }));
}

export interface UpdateTopicCommand {
  readonly name: string;
  /** Empty = any. */
  readonly etag: string;
  /** The topic's own settings after the change. */
  readonly settingsAfter: (before: TopicSettings) => TopicSettings;
  /** Absent = as before. */
  readonly replicationFactorAfter?: number | undefined;
  /** True for Partita's own topics, which only Partita changes. */
  readonly internal?: boolean;
}

/**
 * Answers the new definition, for the brokers that hold the topic to store. Replica sets follow a changed replication factor or
 * min in-sync replicas by records in the logs (replica-change.ts).
 */
export function updateTopic(state: ClusterState, command: UpdateTopicCommand): Decision<TopicDefinition> {
  const topic = changeableTopic(state, command.name, command.etag, command.internal);
  const before = topic.definition;
  const settings = command.settingsAfter(before.settings);
  const replicationFactor = factorAfter(state, topic, command.replicationFactorAfter);
  checkSettings(settings, replicationFactor);
  requireHolders(state, topic, updateQuorum);
  const definition = { ...before, settings, replicationFactor, version: before.version + 1n };
  return { records: [{ type: 'topic_put', definition, name: topic.name, life: topic.life }], response: definition };
}

/** 0 = the default, as for a new topic. */
function factorAfter(state: ClusterState, { name, definition, partitions }: ClusterTopic, wanted?: number): number {
  const before = definition.replicationFactor;
  if (wanted === undefined) return before;
  const count = placementBrokers(state).length;
  const after = checkedReplicationFactor(wanted, count);
  if (after > before && count < after) throw tooFewBrokers(after, count);
  if (after === before) return before;
  const { topicId } = definition;
  const [open] = partitions.flatMap(({ partition }) => state.reassignments.openMovesOf(topicId, partition));
  if (open === undefined) return after;
  throw new PartitaError(
    'REASSIGNMENT_UNDER_WAY',
    `replicas of "${name}" are moving, by reassignment ${open.reassignmentId}: wait for its end, or cancel it`,
    { reassignment: open.reassignmentId, topic: name, partition: String(open.partition) },
  );
}

export interface DeleteTopicCommand {
  readonly name: string;
  /** Empty = any. */
  readonly etag: string;
  readonly deleteId: string;
  readonly nowMs: number;
}

/**
 * Hides the topic from clients. It is gone once tombstones are stored by so many that no election can miss them. A repeat joins
 * the deletion under way: to call the topic missing would be to say that it is gone already.
 */
export function deleteTopic(state: ClusterState, command: DeleteTopicCommand): Decision<Tombstone> {
  const hidden = hiddenTopic(state, command.name);
  const topic = hidden ?? changeableTopic(state, command.name, command.etag);
  if (hidden === undefined) requireHolders(state, topic, deletionQuorum);
  const { topicId } = topic.definition;
  const tombstone = { topicId, name: topic.name, deleteId: command.deleteId, deleteTimeMs: command.nowMs };
  return { records: [{ type: 'topic_deleting', topicId }], response: tombstone };
}

/** The topic that clients know by this name, or TOPIC_NOT_FOUND, which says how to make it. */
export function visibleTopic(state: ClusterState, nameOrId: string): ClusterTopic {
  const topic = state.topicByName(nameOrId) ?? state.topicById(nameOrId);
  if (topic?.life === 'active') return topic;
  if (topic?.life === 'found') {
    throw new PartitaError(
      'COORDINATOR_UNAVAILABLE',
      `a broker holds topic "${nameOrId}", and whether it was ever completed is not known yet: repeat in a moment`,
    );
  }
  throw new PartitaError(
    'TOPIC_NOT_FOUND',
    `there is no topic "${nameOrId}"; create it with: npx partita topic create ${nameOrId}`,
    {
      topic: nameOrId,
    },
  );
}

function hiddenTopic(state: ClusterState, name: string): ClusterTopic | undefined {
  const topic = state.topicByName(name);
  return topic?.life === 'deleting' ? topic : undefined;
}

function changeableTopic(state: ClusterState, name: string, etag: string, internal = false): ClusterTopic {
  // Its maker may have been told by the coordinator before this one that it is there: then it is not to be called missing.
  if (isUnfinished(state.topicByName(name)))
    throw new PartitaError('COORDINATOR_UNAVAILABLE', `topic "${name}" is being created: repeat in a moment`);
  const topic = visibleTopic(state, name);
  if (isInternalTopic(topic.name) && !internal) {
    throw new PartitaError('INTERNAL_TOPIC', `"${topic.name}" is Partita's own and cannot be changed`, {
      topic: topic.name,
    });
  }
  const current = topicEtag(topic.definition);
  if (etag !== '' && etag !== current) {
    throw new PartitaError(
      'ETAG_MISMATCH',
      `topic "${topic.name}" has changed: read it again and repeat with its etag`,
      {
        topic: topic.name,
        etag: current,
      },
    );
  }
  return topic;
}

/** Opaque to clients: which topic under the name, and which version of it. */
export function topicEtag({ topicId, version }: TopicDefinition): string {
  return `${topicId}-${version}`;
}

/** Replicas of each partition that must have stored a change of its topic: then every election meets it. */
export function updateQuorum({ replicas, minInSyncReplicas }: ReplicaConfig): number {
  return electionQuorum(replicas.length, minInSyncReplicas);
}

/** Replicas of each partition that must have stored a tombstone: then no election succeeds without meeting it. */
export function deletionQuorum({ replicas, minInSyncReplicas }: ReplicaConfig): number {
  return replicas.length - electionQuorum(replicas.length, minInSyncReplicas) + 1;
}

/** True when in every partition as many replicas as `quorumOf` asks for are on brokers that `has` names. */
export function storedByEnough(
  topic: ClusterTopic,
  quorumOf: (config: ReplicaConfig) => number,
  has: (brokerId: number) => boolean,
): boolean {
  return topic.partitions.every(
    ({ config }) =>
      config === undefined || config.replicas.filter(({ brokerId }) => has(brokerId)).length >= quorumOf(config),
  );
}

/** NOT_ENOUGH_BROKERS unless so many replicas of each partition are on brokers that answer. */
function requireHolders(state: ClusterState, topic: ClusterTopic, quorumOf: (config: ReplicaConfig) => number): void {
  for (const { partition, config } of topic.partitions) {
    if (config === undefined) continue;
    const live = config.replicas.filter(({ brokerId }) => state.broker(brokerId)?.facts.status !== 'down').length;
    const needed = quorumOf(config);
    if (live >= needed) continue;
    const ids = config.replicas.map(({ brokerId }) => brokerId).join(', ');
    throw new PartitaError(
      'NOT_ENOUGH_BROKERS',
      `the change has to be stored where partition ${partition} is, on ${needed} of broker ${ids}, and ${live} answer: start the broker and repeat`,
      { topic: topic.name, partition: String(partition), needed: String(needed), live: String(live) },
    );
  }
}
