/**
 * Indexes of sealed segments, for all partitions of a broker: loaded when first read from, the least recently used ones
 * dropped when together they take more than `bytesMax`. The index of a segment that is written to stays with its log.
 */
import type { OffsetIndex } from './offset-index.ts';

const BYTES_MAX = 64 * 1024 * 1024;

export class IndexCache {
  readonly #bytesMax: number;
  /** In order of last use, oldest first. */
  readonly #entries = new Map<string, Promise<OffsetIndex>>();
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(bytesMax: number = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** The index of the file; concurrent users share one loading, a failed one is not kept. */
  async get(path: string, load: () => Promise<OffsetIndex>): Promise<OffsetIndex> {
    const loading = this.#entries.get(path) ?? load();
    this.#entries.delete(path);
    this.#entries.set(path, loading);
    try {
      const index = await loading;
      if (this.#entries.get(path) === loading) this.#weigh(path, index.memoryBytes);
      return index;
    } catch (error) {
      if (this.#entries.get(path) === loading) this.drop(path);
      throw error;
    }
  }

  /** Forgets the index: its segment is removed or written to again. */
  drop(path: string): void {
    this.#entries.delete(path);
    this.#bytes -= this.#sizes.get(path) ?? 0;
    this.#sizes.delete(path);
  }

  #weigh(path: string, bytes: number): void {
    this.#bytes += bytes - (this.#sizes.get(path) ?? 0);
    this.#sizes.set(path, bytes);
    for (const oldest of this.#sizes.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === path) return;
      this.drop(oldest);
    }
  }
}
