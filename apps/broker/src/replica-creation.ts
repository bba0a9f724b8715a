/**
 * Which replicas may be made here, and what is durable of one before it is there. The first replicas of a partition are
 * members; whoever comes later is made as a learner of a committed config, and never under what is kept of an earlier one.
 */
import { asPartitaError, isUuid, PARTITION_COUNT_MAX, PartitaError } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { ReplicaMeta } from '@partita/protocol';
import type { KeptFloor, ReplicaToCreate } from '@partita/protocol';
import { isMember } from '@partita/replication';
import type { ReplicaConfig } from '@partita/replication';
import type { DataDirectory } from './data-directory.ts';
import { replicaKey } from './journal-keys.ts';
import { keptFloor } from './kept-floors.ts';
import type { PartitionRegistry } from './partition-registry.ts';
import { replicaConfig } from './peer-messages.ts';

export interface CreationPlace {
  readonly directory: DataDirectory;
  readonly registry: PartitionRegistry;
  readonly brokerId: number;
  /** True for a replica that this run has begun to make and could not open: nothing was ever appended to it. */
  isUnfinished(partition: TopicPartition): boolean;
}

/** Why a replica cannot be made, or undefined when it can be, or is there. */
export function creationFault(wanted: ReplicaToCreate, place: CreationPlace): PartitaError | undefined {
  const { topicId, partition, replicaId } = wanted;
  const { registry, directory } = place;
  const topic = registry.topic(topicId);
  if (topic === undefined) return badField('topics', topicId, 'the config of each topic with a new replica');
  if (partition < 0 || partition >= PARTITION_COUNT_MAX || !isUuid(replicaId)) {
    return badField('replica', `${partition}/${replicaId}`, 'a partition and a lower-case UUID');
  }
  const actor = registry.actor(topicId, partition);
  if (actor !== undefined) {
    if (actor.replicaId === replicaId) return undefined;
    return badField('replica_id', replicaId, `${actor.replicaId}, the replica that is there`);
  }
  const fault = offlineFault(wanted, place) ?? configFault(wanted, place);
  if (fault !== undefined) return fault;
  const { segmentBytes } = topic.settings;
  return directory.device.space.isFull(segmentBytes) ? diskFull(directory, segmentBytes) : undefined;
}

/** A replica that did not open is never made anew: it would forget what it promised. */
function offlineFault(wanted: TopicPartition, place: CreationPlace): PartitaError | undefined {
  const { topicId, partition } = wanted;
  const damaged = place.registry.damagedReplica(topicId, partition);
  if (damaged !== undefined) return damaged.error;
  const stored = place.directory.journal.get(replicaKey(wanted));
  if (stored === undefined || !hasPromised(stored) || place.isUnfinished(wanted)) return undefined;
  const message = `replica ${partition} of topic ${topicId} is there and offline; see the broker's log`;
  return new PartitaError('STORAGE_FAILED', message, { topic_id: topicId, partition: String(partition) });
}

function configFault(wanted: ReplicaToCreate, place: CreationPlace): PartitaError | undefined {
  const { replicaId, promisedEpoch } = wanted;
  const { directory, brokerId } = place;
  let config: ReplicaConfig;
  try {
    config = replicaConfig(wanted.config);
  } catch (error) {
    return asPartitaError(error);
  }
  const own = [...config.replicas, ...config.learners].find((replica) => replica.replicaId === replicaId);
  if (own?.brokerId !== brokerId || own.directoryId !== directory.identity.dirUuid) {
    return badField('config', replicaId, `a set with this replica on broker ${brokerId}, this directory`);
  }
  if (promisedEpoch < 0) return badField('promised_epoch', String(promisedEpoch), 'at least 0');
  // What a member has acknowledged it must have; only those that nothing was written to yet have all of it.
  if (isMember(config, replicaId) && (config.version > 1 || promisedEpoch > 0)) {
    return badField('config', replicaId, 'one that has this replica as a learner: a new member has nothing yet');
  }
  return lateFault(wanted, config, keptFloor(directory.journal, wanted));
}

/**
 * An order that comes late, or a coordinator of yesterday: the partition has gone on without this replica. Both orders name
 * committed sets, and there is one of each version: one of the floor's own that has another replica than the deleted is it.
 */
function lateFault(
  { topicId, partition, replicaId }: ReplicaToCreate,
  { version }: ReplicaConfig,
  kept: KeptFloor | undefined,
): PartitaError | undefined {
  if (kept === undefined || (version >= kept.configFloor && kept.replicaId !== replicaId)) return undefined;
  const message = `replica ${replicaId} of config ${version} is not made: config ${kept.configFloor} is known here, without it`;
  return new PartitaError('FENCED_EPOCH', message, {
    topic_id: topicId,
    partition: String(partition),
    epoch: String(version),
    promised: String(kept.configFloor),
  });
}

/** What is durable of a replica before its log is made: at least what is kept of an earlier one. */
export function firstMeta(wanted: ReplicaToCreate, kept: KeptFloor | undefined): ReplicaMeta {
  return {
    promisedEpoch: Math.max(wanted.promisedEpoch, kept?.promisedEpoch ?? 0),
    grantNonce: Buffer.alloc(0),
    ledEpoch: 0,
    suspect: false,
    configFloor: Math.max(wanted.config?.configVersion ?? 0, kept?.configFloor ?? 0),
    replicaId: wanted.replicaId,
    initialConfig: wanted.config,
    committedConfig: undefined,
  };
}

/** STORAGE_FULL with the figures. */
export function diskFull({ device: { space } }: DataDirectory, segmentBytes: number): PartitaError {
  return new PartitaError('STORAGE_FULL', "the broker's disk is full; free some space or choose another broker", {
    free_bytes: String(space.freeBytes),
    reserve_bytes: String(Math.round(space.reserveBytes(segmentBytes))),
  });
}

/** INVALID_REQUEST for one field. */
export function badField(field: string, value: string, range: string): PartitaError {
  return new PartitaError('INVALID_REQUEST', `${field} "${value}" must be ${range}`, { field, value, range });
}

function hasPromised(stored: Uint8Array): boolean {
  return ReplicaMeta.decode(stored).promisedEpoch > 0;
}
