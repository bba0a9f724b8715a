/**
 * Batches that a leader has just appended, kept for its followers until they have them: what is sent at once is never read
 * back from a file. Only partitions with followers keep any, and all of a process together at most RECENT_BATCH_BYTES_MAX;
 * what finds no room is read from the log.
 */
import { RECENT_BATCH_BYTES_MAX } from '@partita/domain';
import type { OutgoingBatches } from '@partita/replication';

/** Bytes that all partitions of a process keep. */
export class RecentBudget {
  #bytes = 0;

  take(bytes: number): boolean {
    if (this.#bytes + bytes > RECENT_BATCH_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

interface RecentBatch {
  readonly batch: Uint8Array;
  readonly baseOffset: bigint;
  readonly endOffset: bigint;
}

/** Of one partition. Invariant: the batches follow each other without a gap. */
export class RecentBatches {
  readonly #budget: RecentBudget;
  #batches: RecentBatch[] = [];
  /** Entries in front that are given back already; taken off in one go. */
  #passedCount = 0;

  constructor(budget: RecentBudget) {
    this.#budget = budget;
  }

  /** Takes in the batch at the log's end. Without room the memory begins anew behind it. */
  push(batch: Uint8Array, baseOffset: bigint, endOffset: bigint): void {
    if (this.#batches.at(-1)?.endOffset !== baseOffset) this.clear();
    if (!this.#budget.take(batch.length)) this.clear();
    else this.#batches.push({ batch, baseOffset, endOffset });
  }

  /** Forgets what ends at or below the offset: everybody has it. */
  dropBelow(offset: bigint): void {
    for (let first = this.#batches[this.#passedCount]; first !== undefined; first = this.#batches[this.#passedCount]) {
      if (first.endOffset > offset) break;
      this.#budget.giveBack(first.batch.length);
      this.#passedCount += 1;
    }
    if (this.#passedCount * 2 < this.#batches.length) return;
    this.#batches = this.#batches.slice(this.#passedCount);
    this.#passedCount = 0;
  }

  clear(): void {
    for (const { batch } of this.#batches.slice(this.#passedCount)) this.#budget.giveBack(batch.length);
    this.#batches = [];
    this.#passedCount = 0;
  }

  /** Batches from exactly the offset on, at most `maxBytes`, but at least one; undefined when it is not in here. */
  from(offset: bigint, maxBytes: number): OutgoingBatches<Uint8Array> | undefined {
    const start = this.#find(offset);
    if (start === undefined) return undefined;
    const chosen: Uint8Array[] = [];
    let bytes = 0;
    let endOffset = offset;
    for (const entry of this.#batches.slice(start)) {
      if (chosen.length > 0 && bytes + entry.batch.length > maxBytes) break;
      chosen.push(entry.batch);
      bytes += entry.batch.length;
      endOffset = entry.endOffset;
      if (bytes >= maxBytes) break;
    }
    const [only] = chosen;
    const content = chosen.length === 1 && only !== undefined ? only : Buffer.concat(chosen, bytes);
    return { content, bytes, endOffset };
  }

  /** Index of the batch that begins at the offset. Binary search: offsets grow. */
  #find(offset: bigint): number | undefined {
    let low = this.#passedCount;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#batches[middle]?.baseOffset ?? offset) < offset) low = middle + 1;
      else high = middle;
    }
    return this.#batches[low]?.baseOffset === offset ? low : undefined;
  }
}
