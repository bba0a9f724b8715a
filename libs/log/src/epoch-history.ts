/**
 * Which leader epoch began at which offset: the fold of all batch headers of a partition. Replicas find the point where
 * their logs part from it, so it outlives the segments it was read from (see snapshot.ts).
 */
import { BATCH_EPOCH_START, baseOffsetAt, batchTypeAt, isUncleanStart, leaderEpochAt, recordsAt } from '@partita/batch';
import { invariant } from '@partita/domain';

/** An epoch that appended, and the offset of its first batch. */
export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: bigint;
  /** Its leader was forced by an operator: other replicas may cut what they hold as committed where they first meet it. */
  readonly unclean: boolean;
}

/** Invariant: epochs and start offsets both grow strictly. */
export class EpochHistory {
  #starts: EpochStart[];

  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = [];
    for (const start of starts) this.#add(start);
  }

  /** All epochs, oldest first. */
  get starts(): readonly EpochStart[] {
    return this.#starts;
  }

  /** The newest epoch; 0 when nothing was ever appended. */
  get lastEpoch(): number {
    return this.#starts.at(-1)?.epoch ?? 0;
  }

  /** Takes in the epoch of the batch at `at`, of which all bytes are there if it is a control batch. */
  note(bytes: Uint8Array, at: number): void {
    const epoch = leaderEpochAt(bytes, at);
    if (epoch === this.lastEpoch && this.#starts.length > 0) return;
    const unclean = batchTypeAt(bytes, at) === BATCH_EPOCH_START && isUncleanStart(recordsAt(bytes, at));
    this.#add({ epoch, startOffset: baseOffsetAt(bytes, at), unclean });
  }

  /** The same epoch again changes nothing. */
  #add(start: EpochStart): void {
    const { epoch, startOffset } = start;
    const last = this.#starts.at(-1);
    if (last?.epoch === epoch) return;
    invariant(
      last === undefined || (epoch > last.epoch && startOffset > last.startOffset),
      `epoch ${epoch} at offset ${startOffset} does not follow epoch ${last?.epoch ?? 0} at ${last?.startOffset ?? 0n}`,
    );
    this.#starts.push(start);
  }

  /** Forgets what begins at or above the offset. */
  truncate(endOffset: bigint): void {
    this.#starts = this.#starts.filter((start) => start.startOffset < endOffset);
  }
}
