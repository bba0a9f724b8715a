/**
 * Which of the queued batches begin above the end of the one before them. A leader's never do; to a follower they come
 * from a log that was compacted. Only a sparse segment takes such a batch.
 */
import { baseOffsetAt } from '@partita/batch';

export class QueuedHoles {
  /** Base offsets of the batches behind a hole, rising. */
  #bases: bigint[] = [];

  get isEmpty(): boolean {
    return this.#bases.length === 0;
  }

  /** Notes that the batch to be queued next begins behind a hole. */
  note(baseOffset: bigint): void {
    this.#bases.push(baseOffset);
  }

  /** True when the batch that begins there is behind a hole. */
  isBefore(baseOffset: bigint): boolean {
    return this.#bases[0] === baseOffset;
  }

  /** True when one of the batches is behind a hole. */
  isAmong(batches: readonly Uint8Array[]): boolean {
    const [next] = this.#bases;
    const last = batches.at(-1);
    return next !== undefined && last !== undefined && next <= baseOffsetAt(last, 0);
  }

  /** The batches up to the next hole. */
  upToNext(batches: readonly Uint8Array[]): readonly Uint8Array[] {
    const next = this.#bases[0];
    if (next === undefined) return batches;
    const end = batches.findIndex((batch) => baseOffsetAt(batch, 0) === next);
    return end < 0 ? batches : batches.slice(0, end);
  }

  /** Forgets those below the offset: they are written. */
  dropBelow(offset: bigint): void {
    while (this.#bases[0] !== undefined && this.#bases[0] < offset) this.#bases.shift();
  }

  /** Forgets those from the offset on: they are cut. */
  dropFrom(offset: bigint): void {
    this.#bases = this.#bases.filter((base) => base < offset);
  }
}
