/**
 * Damage to what was once durable: the error that tells of it, and what is read from such an error. A log that serves
 * reports it only when a second reading met it too, since a bit may be wrong on the way of one; so whoever gets it may
 * take the replica for suspect.
 */
import { PartitaError } from '@partita/domain';
import type { LogIdentity } from './segment-header.ts';
import { parseSegmentName } from './segment-files.ts';

/** Where a log is damaged. */
export interface LogDamage {
  /** The file. */
  readonly file: string;
  /** Byte of the file where the damage was met. */
  readonly position: number;
  /** Base offset of the segment that the file belongs to; undefined for a file of the whole partition. */
  readonly segmentBase: bigint | undefined;
  /** Lowest offset that may be hit, as far as the reading tells; everything of the segment below it was good. */
  readonly offset: bigint | undefined;
}

/** A place in a file, and the offset that was due there when it is known. */
export type DamagedPlace = number | { readonly position: number; readonly nextOffset: bigint };

/** Bytes on disk that are not what was written there. Never answered by cutting: the replica is copied again. */
export function corruptFile(identity: LogIdentity, path: string, place: DamagedPlace, why: string): PartitaError {
  const { topicId, partition } = identity;
  const position = typeof place === 'number' ? place : place.position;
  const base = parseSegmentName(path.slice(path.lastIndexOf('/') + 1).replace(/\.compacted$/, ''))?.baseOffset;
  return new PartitaError(
    'CORRUPT_BATCH',
    `${path} is damaged at byte ${position}: ${why}; check the disk, then restore this replica from a peer or a backup`,
    {
      ...{ topic_id: topicId, partition: String(partition), file: path, position: String(position) },
      ...(base === undefined ? {} : { segment: String(base) }),
      ...(typeof place === 'number' ? {} : { offset: String(place.nextOffset) }),
    },
  );
}

/** The damage that the error tells of; undefined when it tells of none in a file. */
export function damageOf(error: unknown): LogDamage | undefined {
  if (!(error instanceof PartitaError) || error.reason !== 'CORRUPT_BATCH') return undefined;
  const { file, position, segment, offset } = error.metadata;
  if (file === undefined) return undefined;
  return {
    file,
    position: Number(position ?? 0),
    segmentBase: segment === undefined ? undefined : BigInt(segment),
    offset: offset === undefined ? undefined : BigInt(offset),
  };
}

/** Runs a reading, and once more when it met damage: only the second one is believed. */
export async function confirmed<Result>(reading: () => Promise<Result>): Promise<Result> {
  try {
    return await reading();
  } catch (error) {
    if (damageOf(error) === undefined) throw error;
    return reading();
  }
}
