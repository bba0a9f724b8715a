/**
 * Indexes of sealed segments, for all partitions of a broker: loaded when first read from, the least recently used ones
 * dropped when together they take more than `bytesMax`. The index of a segment that is written to stays with its log. Keyed
 * by the segment as an object: one that compaction made has the path of another.
 */
import type { OffsetIndex } from './offset-index.ts';

const BYTES_MAX = 64 * 1024 * 1024;

export class IndexCache {
  readonly #bytesMax: number;
  /** In order of last use, oldest first. */
  readonly #entries = new Map<object, Promise<OffsetIndex>>();
  readonly #sizes = new Map<object, number>();
  #bytes = 0;

  constructor(bytesMax: number = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** The index of the segment; concurrent users share one loading, a failed one is not kept. */
  async get(segment: object, load: () => Promise<OffsetIndex>): Promise<OffsetIndex> {
    const loading = this.#entries.get(segment) ?? load();
    this.#entries.delete(segment);
    this.#entries.set(segment, loading);
    try {
      const index = await loading;
      if (this.#entries.get(segment) === loading) this.#weigh(segment, index.memoryBytes);
      return index;
    } catch (error) {
      if (this.#entries.get(segment) === loading) this.drop(segment);
      throw error;
    }
  }

  /** Forgets the index: its segment is removed or written to again. */
  drop(segment: object): void {
    this.#entries.delete(segment);
    this.#bytes -= this.#sizes.get(segment) ?? 0;
    this.#sizes.delete(segment);
  }

  #weigh(segment: object, bytes: number): void {
    this.#bytes += bytes - (this.#sizes.get(segment) ?? 0);
    // Behind all others: it is the one that was used last.
    this.#sizes.delete(segment);
    this.#sizes.set(segment, bytes);
    for (const oldest of this.#sizes.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === segment) return;
      this.drop(oldest);
    }
  }
}
