import { keyHash } from './key-hash.ts';
import type { RecordInput } from './record-set.ts';

/** Key-hash bounds of a batch without keys: min above max. */
export const NO_KEYS_MIN_HASH = 0xffffffff;
export const NO_KEYS_MAX_HASH = 0;

/** What a batch header says about its records, folded record by record. */
export class RecordSummary {
  count = 0;
  firstTimestampMs = 0n;
  maxTimestampMs = 0n;
  minKeyHash = NO_KEYS_MIN_HASH;
  maxKeyHash = NO_KEYS_MAX_HASH;
  hasTombstones = false;

  /** Adds the next record; `hash` is the hash of its key, for callers that have it. */
  add(record: RecordInput, hash?: number): void {
    if (this.count === 0) this.firstTimestampMs = this.maxTimestampMs = record.timestampMs;
    else if (record.timestampMs > this.maxTimestampMs) this.maxTimestampMs = record.timestampMs;
    this.count++;
    if (record.value === undefined) this.hasTombstones = true;
    if (record.key === undefined) return;
    const keysHash = hash ?? keyHash(record.key);
    if (keysHash < this.minKeyHash) this.minKeyHash = keysHash;
    if (keysHash > this.maxKeyHash) this.maxKeyHash = keysHash;
  }
}
