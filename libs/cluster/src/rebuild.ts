/**
 * Merging what somebody says into what is known: a broker's inventory, or a directory read back. Neither ever takes away:
 * the higher version of a topic holds, the highest epoch, the highest config; leaders that lead go on as they are. Only a
 * tombstone removes, and of two topics of one name the older keeps it.
 */
import { mergeClusterSettings } from './cluster-settings.ts';
import type { ClusterPartition, ClusterState } from './cluster-state.ts';
import type { BrokerRegistration, ReplicaConfig, ReplicaReport, Tombstone, TopicDefinition } from './inventory.ts';
import type { ClusterRecord, TopicLife } from './records.ts';
import { isUnfinished } from './topics/creation-fate.ts';

/** A topic as the directory holds it. */
export interface StoredTopic {
  readonly definition: TopicDefinition;
  readonly life: TopicLife;
}

/** A partition as the directory holds it. */
export interface StoredPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly config: ReplicaConfig;
  readonly epoch: number;
  readonly leader: number;
  readonly inSync: readonly number[];
  readonly inSyncVersion: number;
  readonly lossy: boolean;
}

/** Records for a topic that somebody knows; none when it is known already, or deleted. */
export function mergeTopic(state: ClusterState, definition: TopicDefinition, life: TopicLife): ClusterRecord[] {
  if (state.tombstone(definition.topicId) !== undefined) return [];
  const known = state.topicById(definition.topicId);
  if (known !== undefined) {
    if (known.definition.version >= definition.version) return [];
    return [{ type: 'topic_put', definition, name: known.name, life: known.life }];
  }
  const rival = state.topicByName(definition.name);
  if (rival === undefined) return [{ type: 'topic_put', definition, name: definition.name, life }];
  if (!isOlder(definition, rival.definition))
    return [{ type: 'topic_put', definition, name: parkedName(definition), life }];
  return [
    { type: 'topic_put', definition: rival.definition, name: parkedName(rival.definition), life: rival.life },
    { type: 'topic_put', definition, name: definition.name, life },
  ];
}

/** The same for a topic of the directory, which also knows whether its creation was completed. */
export function mergeStoredTopic(state: ClusterState, { definition, life }: StoredTopic): ClusterRecord[] {
  const records = mergeTopic(state, definition, life);
  if (life === 'active' && isUnfinished(state.topicById(definition.topicId))) {
    records.push({ type: 'topic_activated', topicId: definition.topicId });
  }
  return records;
}

function isOlder(a: TopicDefinition, b: TopicDefinition): boolean {
  return a.createTimeMs === b.createTimeMs ? a.topicId < b.topicId : a.createTimeMs < b.createTimeMs;
}

/** `~` is not allowed in names that users choose, so this meets no other name. */
function parkedName({ name, topicId }: TopicDefinition): string {
  return `${name}~conflict~${topicId}`;
}

export function mergeTombstone(state: ClusterState, tombstone: Tombstone): ClusterRecord[] {
  return state.tombstone(tombstone.topicId) === undefined ? buryTopic(state, tombstone) : [];
}

/** The topic is gone, if it was there; the oldest of those that were parked for its sake has the name from now on. */
export function buryTopic(state: ClusterState, tombstone: Tombstone): ClusterRecord[] {
  const buried = state.topicById(tombstone.topicId);
  const records: ClusterRecord[] = [{ type: 'topic_buried', tombstone }];
  if (buried === undefined || buried.name !== buried.definition.name) return records;
  const [heir] = [...state.topics()]
    .filter((topic) => topic !== buried && topic.definition.name === buried.name)
    .sort((a, b) => (isOlder(a.definition, b.definition) ? -1 : 1));
  if (heir !== undefined)
    records.push({ type: 'topic_put', definition: heir.definition, name: buried.name, life: heir.life });
  return records;
}

/**
 * Merges an inventory into the state, step by step, since each topic decides what the next may be called. `apply` is called
 * for each record.
 */
export function mergeInventory(
  state: ClusterState,
  registration: BrokerRegistration,
  apply: (record: ClusterRecord) => void,
): void {
  const each = (records: readonly ClusterRecord[]) => records.forEach(apply);
  if (registration.settings !== undefined) each(mergeClusterSettings(state, registration.settings));
  for (const tombstone of registration.tombstones) each(mergeTombstone(state, tombstone));
  // A topic that a broker holds was asked for by somebody. Whether its creation was ever completed shows by its epochs.
  for (const definition of registration.topics) each(mergeTopic(state, definition, 'found'));
  for (const report of registration.replicas) each(mergeReport(state, registration.brokerId, report));
}

/** A topic that a broker has stored on the order of another coordinator: new, or a newer version of a known one. */
export function mergeNewTopic(
  state: ClusterState,
  definition: TopicDefinition,
  apply: (record: ClusterRecord) => void,
): boolean {
  const records = mergeTopic(state, definition, 'found');
  records.forEach(apply);
  // Brokers may have told of its replicas before anybody told of the topic.
  for (const { facts, replicas } of records.length === 0 ? [] : state.brokers()) {
    if (facts.status === 'down') continue;
    for (const report of replicas.values())
      if (report.topicId === definition.topicId) mergeReport(state, facts.brokerId, report).forEach(apply);
  }
  return records.length > 0;
}

/** What one replica's report tells about its partition. */
export function mergeReport(state: ClusterState, brokerId: number, report: ReplicaReport): ClusterRecord[] {
  const { topicId, partition, config, leadingEpoch } = report;
  const known = state.partition(topicId, partition);
  if (known === undefined) return [];
  const records: ClusterRecord[] = [];
  if (config !== undefined && config.configVersion > (known.config?.configVersion ?? 0)) {
    records.push({ type: 'config_learned', topicId, partition, config });
  }
  const epoch = Math.max(report.promisedEpoch, report.lastEpoch, leadingEpoch);
  if (epoch > known.epochSeen) records.push({ type: 'epoch_seen', topicId, partition, epoch });
  // Nobody elects before all replicas are made.
  if (epoch > 0 && state.topicById(topicId)?.life === 'found') records.push({ type: 'topic_activated', topicId });
  records.push(...mergeLeader(known, brokerId, report));
  return records;
}

function mergeLeader(known: ClusterPartition, brokerId: number, report: ReplicaReport): ClusterRecord[] {
  const { topicId, partition, leadingEpoch, followingId, lastEpoch: epoch, promisedEpoch } = report;
  if (leadingEpoch > 0) return leaderHeard(known, { topicId, partition, epoch: leadingEpoch, brokerId });
  // A follower that holds data of the epoch that it promised last has it from that epoch's leader, whose own report is on its
  // way: an election now would depose it. What has become of it since, leadership.ts finds.
  if (followingId === 0 || epoch !== promisedEpoch || epoch <= known.epoch) return [];
  const [inSync, inSyncVersion] = [[followingId], 0];
  return [{ type: 'leader_known', topicId, partition, epoch, leader: followingId, inSync, inSyncVersion, live: true }];
}

/** A leader of a newer epoch, or the known one that is heard again. Claims against these are left to the replicas. */
export function leaderHeard(
  known: ClusterPartition,
  heard: { readonly topicId: string; readonly partition: number; readonly epoch: number; readonly brokerId: number },
): ClusterRecord[] {
  const { topicId, partition, epoch, brokerId } = heard;
  const leader = { type: 'leader_known', topicId, partition, epoch, leader: brokerId, live: true } as const;
  if (epoch > known.epoch) return [{ ...leader, inSync: [brokerId], inSyncVersion: 0 }];
  if (epoch < known.epoch || known.live || known.leader !== brokerId) return [];
  return [{ ...leader, inSync: known.inSync, inSyncVersion: known.inSyncVersion }];
}

/** What the directory tells about a partition. Its leader counts as live only when its own broker says so. */
export function mergeStoredPartition(state: ClusterState, stored: StoredPartition): ClusterRecord[] {
  const { topicId, partition, config, epoch, leader, inSync, inSyncVersion, lossy } = stored;
  const known = state.partition(topicId, partition);
  if (known === undefined) return [];
  const records: ClusterRecord[] = [];
  if (config.configVersion > (known.config?.configVersion ?? 0))
    records.push({ type: 'config_learned', topicId, partition, config });
  const same = epoch === known.epoch && leader === known.leader;
  const newer = epoch > known.epoch || (same && inSyncVersion > known.inSyncVersion);
  if (leader > 0 && newer) {
    const live = known.live && epoch === known.epoch;
    records.push({ type: 'leader_known', topicId, partition, epoch, leader, inSync, inSyncVersion, live });
  }
  // Brokers do not tell it, so it is taken also for a leader that was heard before the directory was read.
  if (lossy && (newer || same)) records.push({ type: 'partition_lossy', topicId, partition, epoch });
  return records;
}
