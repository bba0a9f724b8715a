/** Under which keys a broker's journal keeps what it knows of replicas and topics. */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';

/** What a replica has promised: ReplicaMeta. */
export const REPLICA_PREFIX = 'replica/';
/** Below which offset the records of a partition are deleted. */
export const START_PREFIX = 'start/';
/** Deleted topics, by id. */
export const TOMBSTONE_PREFIX = 'tombstone/';
/** What is kept of a replica that was deleted: KeptFloor. */
export const FLOOR_PREFIX = 'floor/';

export function replicaKey(partition: TopicPartition): string {
  return `${REPLICA_PREFIX}${partitionKey(partition)}`;
}

export function startKey(partition: TopicPartition): string {
  return `${START_PREFIX}${partitionKey(partition)}`;
}

export function floorKey(partition: TopicPartition): string {
  return `${FLOOR_PREFIX}${partitionKey(partition)}`;
}
