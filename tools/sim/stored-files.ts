/** The files of the partition as they are on the simulated disk, seen from outside of the program. */
import { SEGMENT_HEADER_BYTES } from '@partita/log';
import type { FaultyDisk } from '@partita/testkit';
import { DIRECTORY } from './log-identity.ts';
import type { LogWorld } from './log-world.ts';

/** Path of a segment's file. */
export function segmentFile(base: bigint, kind: 'log' | 'idx' | 'snapshot'): string {
  return `${DIRECTORY}/${String(base).padStart(20, '0')}.${kind}`;
}

/** Base offsets of the files of a kind, lowest first. */
export function basesOf(disk: FaultyDisk, kind: 'log' | 'idx' | 'snapshot'): bigint[] {
  const pattern = new RegExp(`^(\\d{20})\\.${kind}$`);
  return disk.names.list(DIRECTORY).flatMap((name) => {
    const base = pattern.exec(name)?.[1];
    return base === undefined ? [] : [BigInt(base)];
  });
}

/** Offsets of the batches of the segment that damage by injection may have hit, lowest first. */
export function damagedBatches(world: LogWorld, base: bigint): bigint[] {
  const file = world.disk.names.file(segmentFile(base, 'log'));
  const places = [...(file?.flips ?? [])];
  if (file !== undefined && world.shortened.has(file)) places.push(file.size);
  if (places.length === 0) return [];
  const found = places.map((place) => batchAt(world, base, place));
  return found.sort((one, other) => Number(one - other));
}

/** Offset of the batch at the place in the file of the segment; the end of the log behind all of them. */
function batchAt(world: LogWorld, base: bigint, place: number): bigint {
  let end = SEGMENT_HEADER_BYTES;
  const { batches } = world.model;
  for (let number = world.model.numberOf(base); number < batches.length; number += 1) {
    const batch = batches[number];
    if (batch === undefined) break;
    end += batch.bytes.length;
    if (place < end) return batch.base;
  }
  return world.model.end;
}

/** True when some log file is damaged by injection. */
export function isDamaged(world: LogWorld): boolean {
  return basesOf(world.disk, 'log').some((base) => damagedBatches(world, base).length > 0);
}

/** True when the segment that holds the offset is damaged by injection. */
export function isDamagedAt(world: LogWorld, offset: bigint): boolean {
  const base = basesOf(world.disk, 'log').findLast((least) => least <= offset);
  return base === undefined || damagedBatches(world, base).length > 0;
}
