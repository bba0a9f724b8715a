/**
 * Tells how a batch became durable, to those who ask for it. Given to a log by whoever opens it; while nobody asks, a write
 * costs the log one look at it.
 */

/** The write that made a batch durable, or, with flush=os, put it into the page cache. */
export interface WriteTiming {
  /** Monotonic milliseconds, by the device's clock: the batch had waited in the queue until then. */
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  /** Of all batches of the write. */
  readonly bytes: number;
  readonly batchCount: number;
  /** False with flush=os. */
  readonly isSynced: boolean;
}

interface Watched {
  readonly batch: Uint8Array;
  readonly told: (timing: WriteTiming) => void;
}

export class WriteWatch {
  /** In the order of the log. Invariant: batches of its queue, so bounded as that is. */
  #watched: Watched[] = [];

  get isEmpty(): boolean {
    return this.#watched.length === 0;
  }

  /** Asks about the batch that was appended last. Never told of one that is dropped: whoever drops it knows. */
  add(batch: Uint8Array, told: (timing: WriteTiming) => void): void {
    this.#watched.push({ batch, told });
  }

  /** The batches are written. */
  written(batches: readonly Uint8Array[], timing: WriteTiming): void {
    const written = new Set(batches);
    const asked = this.#watched;
    this.#watched = asked.filter(({ batch }) => !written.has(batch));
    for (const { batch, told } of asked) if (written.has(batch)) told(timing);
  }

  /** Batches left the queue, or will never be written. */
  dropFrom(isGone: (batch: Uint8Array) => boolean): void {
    this.#watched = this.#watched.filter(({ batch }) => !isGone(batch));
  }
}
