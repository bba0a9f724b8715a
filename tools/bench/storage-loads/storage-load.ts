/** What a storage row runs in the load's process: two sides that take turns. */
import type { Sample } from '../sample.ts';

/** `ours` and `raw`; in the rows that encode and decode, `ours` encodes and `raw` decodes. */
export type StorageSide = 'ours' | 'raw';

export interface StorageLoad {
  /** Runs one side for about that long, at least one pass. */
  run(side: StorageSide, seconds: number): Promise<Sample>;
  /** Closes its files; they are removed by whoever gave it their directory. */
  close(): Promise<void>;
}
