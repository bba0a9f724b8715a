/** Batches that are appended but not durable, oldest first, within the limits of a partition. */
import { PARTITION_QUEUE_BYTES_MAX, PARTITION_QUEUE_COUNT_MAX, PartitaError } from '@partita/domain';
import type { WriteWatch } from './write-watch.ts';

export class AppendQueue {
  readonly #watch: WriteWatch | undefined;
  #batches: Uint8Array[] = [];
  #bytes = 0;

  constructor(watch?: WriteWatch) {
    this.#watch = watch;
  }

  get count(): number {
    return this.#batches.length;
  }

  /** Bytes of the batches that wait or are being written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Throws QUEUE_FULL when the batch does not fit; changes nothing. */
  checkRoom(batchBytes: number): void {
    if (this.#batches.length < PARTITION_QUEUE_COUNT_MAX && this.#bytes + batchBytes <= PARTITION_QUEUE_BYTES_MAX)
      return;
    throw new PartitaError(
      'QUEUE_FULL',
      `${this.#batches.length} appends of ${this.#bytes} bytes wait for the disk; slow down and send the batch again`,
      { queued_count: String(this.#batches.length), queued_bytes: String(this.#bytes) },
    );
  }

  push(batch: Uint8Array): void {
    this.#batches.push(batch);
    this.#bytes += batch.length;
  }

  /** The batch with that number; 0 is the oldest. */
  at(number: number): Uint8Array | undefined {
    return this.#batches[number];
  }

  /** The newest batch. */
  get last(): Uint8Array | undefined {
    return this.#batches.at(-1);
  }

  /** The batches from that number on that together have at most `bytesMax`, at least one; they stay in the queue. */
  slice(from: number, bytesMax: number): Uint8Array[] {
    let bytes = 0;
    let end = from;
    for (; end < this.#batches.length; end += 1) {
      bytes += this.#batches[end]?.length ?? 0;
      if (end > from && bytes > bytesMax) break;
    }
    return this.#batches.slice(from, end);
  }

  /** Removes the oldest `count` batches: they are durable. */
  drop(count: number): void {
    for (const batch of this.#batches.splice(0, count)) this.#bytes -= batch.length;
  }

  /** Removes all batches from the first on for which `isGone` holds. */
  dropFrom(isGone: (batch: Uint8Array) => boolean): void {
    const end = this.#batches.findIndex((batch) => isGone(batch));
    if (end < 0) return;
    this.#watch?.dropFrom(isGone);
    for (const batch of this.#batches.splice(end)) this.#bytes -= batch.length;
  }
}
