/**
 * Which leader epoch began at which offset of a log, oldest first. Two logs that hold a batch of the same epoch at the
 * same offset are equal up to there (log matching), so the histories alone tell where logs part.
 */
import { invariant } from '@partita/domain';

/** An epoch that appended, and the offset of its first batch. Invariant of a history: both grow strictly. */
export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: bigint;
  /** True = begun by an operator who accepted the loss of records. */
  readonly unclean: boolean;
}

/** The newest epoch of a history; 0 when nothing was ever appended. */
export function lastEpoch(history: readonly EpochStart[]): number {
  return history.at(-1)?.epoch ?? 0;
}

/** Epoch of the last batch below the offset; 0 when there is none. */
export function epochBefore(history: readonly EpochStart[], offset: bigint): number {
  return history.findLast((start) => start.startOffset < offset)?.epoch ?? 0;
}

/** The history with an epoch that begins at the end of the log. */
export function withEpoch(history: readonly EpochStart[], start: EpochStart): readonly EpochStart[] {
  const last = history.at(-1);
  invariant(
    last === undefined || (start.epoch > last.epoch && start.startOffset > last.startOffset),
    `epoch ${start.epoch} at ${start.startOffset} does not follow epoch ${last?.epoch ?? 0} at ${last?.startOffset ?? 0n}`,
  );
  return [...history, start];
}

/** End of an epoch in a log, exclusive: where the next one begins, or the end of the log; undefined when it has none. */
function epochEnd(history: readonly EpochStart[], logEnd: bigint, epoch: number): bigint | undefined {
  const index = history.findIndex((start) => start.epoch === epoch);
  if (index < 0) return undefined;
  return history[index + 1]?.startOffset ?? logEnd;
}

/** A log as its history and its end, exclusive. */
export interface LogShape {
  readonly history: readonly EpochStart[];
  readonly logEnd: bigint;
}

/**
 * Where two logs part, exclusive: for the highest epoch that both have, the lower of its two ends; 0 when they have none
 * in common. A follower that joins cuts its log to this, never to its high watermark.
 */
export function commonEnd(one: LogShape, other: LogShape): bigint {
  for (const { epoch } of [...one.history].reverse()) {
    const end = epochEnd(one.history, one.logEnd, epoch);
    const otherEnd = epochEnd(other.history, other.logEnd, epoch);
    if (end === undefined || otherEnd === undefined) continue;
    return end < otherEnd ? end : otherEnd;
  }
  return 0n;
}

/**
 * Where a reader's past parts from this log, or undefined when it does not. The reader has read up to `offset`,
 * exclusive, and the last record had `epoch`; below the returned offset both agree as far as the history tells.
 */
export function divergence(log: LogShape, epoch: number, offset: bigint): bigint | undefined {
  const own = log.history.filter((start) => start.epoch <= epoch).at(-1);
  // Nothing as old is known any more (the log begins later): nothing contradicts the reader.
  if (own === undefined) return undefined;
  const end = epochEnd(log.history, log.logEnd, own.epoch) ?? log.logEnd;
  if (own.epoch === epoch && offset <= end) return undefined;
  const at = end < offset ? end : own.startOffset;
  // The last record that was read is of an epoch that is not here: it differs for certain.
  return at < offset ? at : offset - 1n;
}
