/**
 * What this broker keeps of replicas that were deleted here (`floor/<topic id>/<partition>` in the journal): which config of
 * the partition is known to be committed, and up to which epoch. It is told to whoever elects by an older config, and no
 * late order makes a replica of that config or an older one. Whoever comes to hold the partition again begins with it.
 */
import { KEPT_FLOOR_COUNT_MAX, partitionKey, PartitaError } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { Journal } from '@partita/log';
import { KeptFloor } from '@partita/protocol';
import { FLOOR_PREFIX, floorKey } from './journal-keys.ts';

/** What is kept of the partition; undefined when no replica of it was deleted here. */
export function keptFloor(journal: Journal, place: TopicPartition): KeptFloor | undefined {
  const value = journal.get(floorKey(place));
  return value === undefined ? undefined : KeptFloor.decode(value);
}

/** All that is kept, by partition key. */
export function keptFloors(journal: Journal): Map<string, KeptFloor> {
  const floors = new Map<string, KeptFloor>();
  for (const [key, value] of journal.entries())
    if (key.startsWith(FLOOR_PREFIX)) floors.set(key.slice(FLOOR_PREFIX.length), KeptFloor.decode(value));
  return floors;
}

function floorCount(journal: Journal): number {
  let count = 0;
  for (const [key] of journal.entries()) if (key.startsWith(FLOOR_PREFIX)) count += 1;
  return count;
}

/** LIMIT_EXCEEDED when nothing more can be kept: then a replica stays, since what it knows must not be lost. */
export function floorRoomFault(journal: Journal, place: TopicPartition): PartitaError | undefined {
  if (keptFloor(journal, place) !== undefined || floorCount(journal) < KEPT_FLOOR_COUNT_MAX) return undefined;
  const message = `this broker remembers ${KEPT_FLOOR_COUNT_MAX} deleted replicas and deletes no more; delete topics that are not needed`;
  return new PartitaError('LIMIT_EXCEEDED', message, {
    limit: 'replicas deleted from a broker',
    value: String(KEPT_FLOOR_COUNT_MAX),
    partition: partitionKey(place),
  });
}

/** What is known after a deletion: never less than before. */
export function raisedFloor(kept: KeptFloor | undefined, floor: KeptFloor): KeptFloor {
  return {
    ...floor,
    configFloor: Math.max(floor.configFloor, kept?.configFloor ?? 0),
    promisedEpoch: Math.max(floor.promisedEpoch, kept?.promisedEpoch ?? 0),
  };
}
