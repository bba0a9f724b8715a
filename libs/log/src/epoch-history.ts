/**
 * Which leader epoch began at which offset: the fold of all batch headers of a partition. Replicas find the point where
 * their logs part from it, so it outlives the segments it was read from (see snapshot.ts).
 */
import { invariant } from '@partita/domain';

/** An epoch that appended, and the offset of its first batch. */
export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: bigint;
}

/** Invariant: epochs and start offsets both grow strictly. */
export class EpochHistory {
  #starts: EpochStart[];

  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = [];
    for (const { epoch, startOffset } of starts) this.note(epoch, startOffset);
  }

  /** All epochs, oldest first. */
  get starts(): readonly EpochStart[] {
    return this.#starts;
  }

  /** The newest epoch; 0 when nothing was ever appended. */
  get lastEpoch(): number {
    return this.#starts.at(-1)?.epoch ?? 0;
  }

  /** Takes in the epoch of a batch that begins at the offset; the same epoch again changes nothing. */
  note(epoch: number, startOffset: bigint): void {
    const last = this.#starts.at(-1);
    if (last?.epoch === epoch) return;
    invariant(
      last === undefined || (epoch > last.epoch && startOffset > last.startOffset),
      `epoch ${epoch} at offset ${startOffset} does not follow epoch ${last?.epoch ?? 0} at ${last?.startOffset ?? 0n}`,
    );
    this.#starts.push({ epoch, startOffset });
  }

  /** Forgets what begins at or above the offset. */
  truncate(endOffset: bigint): void {
    this.#starts = this.#starts.filter((start) => start.startOffset < endOffset);
  }
}
