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

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): boolean {
    if (this.#bytes + bytes > RECENT_BATCH_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Batches are copied into one message up to this many bytes; beyond, a message each costs less than the copy. */
const MERGED_BYTES_MAX = 64 * 1024;

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

  /** Batches from exactly the offset on: one, or several small ones, at most `maxBytes`; undefined when it is not in here. */
  from(offset: bigint, maxBytes: number): OutgoingBatches<Uint8Array> | undefined {
    const start = this.#find(offset);
    if (start === undefined) return undefined;
    const first = this.#batches[start];
    if (first === undefined) return undefined;
    const bytesMax = Math.min(maxBytes, MERGED_BYTES_MAX);
    let bytes = first.batch.length;
    let end = start + 1;
    for (let next = this.#batches[end]; next !== undefined; next = this.#batches[end]) {
      if (bytes + next.batch.length > bytesMax) break;
      bytes += next.batch.length;
      end += 1;
    }
    const { endOffset } = this.#batches[end - 1] ?? first;
    if (end === start + 1) return { content: first.batch, bytes, endOffset };
    const chosen = this.#batches.slice(start, end).map(({ batch }) => batch);
    return { content: Buffer.concat(chosen, bytes), bytes, endOffset };
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
