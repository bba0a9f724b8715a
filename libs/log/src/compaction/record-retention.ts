/**
 * Which records a compaction keeps. Pass 1 notes the last offset of each key; pass 2 asks about every record. Only records
 * of data batches that have a key can go:
 *
 * - a newer record of the key was noted, or
 * - it is the last of its key, a tombstone, and has stayed for its time.
 *
 * The last batch of a producer session stays without its records when all of them go, as long as it is the last and the
 * session is known: a replica that copies this log learns from it where the session goes on.
 */
import {
  baseOffsetAt,
  BATCH_DATA,
  batchTypeAt,
  emptiedBatch,
  filterBatch,
  lastOffsetAt,
  recordCountAt,
  RecordTable,
} from '@partita/batch';
import { asPartitaError } from '@partita/domain';
import type { CompactionPlan } from './compaction-plan.ts';
import { KeyOffsets } from './key-offsets.ts';

/** Keeps its numbers of offsets as distances from the first offset of the plan: exact, and no bigints. */
export class RecordRetention {
  /** Batches whose records cannot be decoded, as `filter` met them. */
  undecodableBatches = 0;
  /** Tombstones that `filter` removed because they had stayed for their time. */
  removedTombstones = 0;
  /** Tombstones that `filter` kept: a later pass may remove them. */
  keptTombstones = 0;
  readonly #firstOffset: bigint;
  readonly #keys: KeyOffsets;
  readonly #sessionEnds: ReadonlySet<bigint>;
  readonly #table = new RecordTable();
  /** Whether each record of the batch in the table is kept. */
  #keeps = new Uint8Array(1024);
  /** Where pass 1 ended, between two batches. From here on records are not known: they are kept, and end nothing. */
  #knownEnd = 0;
  #tombstonesEnd = 0;

  constructor(plan: Pick<CompactionPlan, 'segments' | 'sessionEnds' | 'mapBytesMax'>, hashSeed: number) {
    this.#firstOffset = plan.segments[0]?.baseOffset ?? 0n;
    this.#sessionEnds = new Set(plan.sessionEnds);
    this.#keys = new KeyOffsets(plan.mapBytesMax, hashSeed);
  }

  /**
   * Notes the keys of the batch at `at`, the next one of the log. False when they do not fit any more: nothing of the
   * batch is noted then. The first batch with keys is always taken, so that every pass gets on.
   */
  note(buf: Uint8Array, at: number): boolean {
    if (!this.#load(buf, at)) return true;
    const table = this.#table;
    let keyCount = 0;
    let keyBytes = 0;
    for (let record = 0; record < table.count; record += 1) {
      const start = table.keyStart(record);
      if (start < 0) continue;
      keyCount += 1;
      keyBytes += table.keyEnd(record) - start;
    }
    if (this.#keys.count > 0 && !this.#keys.fits(keyCount, keyBytes)) return false;
    const base = this.#distance(table.header.baseOffset);
    for (let record = 0; record < table.count; record += 1) {
      const start = table.keyStart(record);
      if (start >= 0) this.#keys.set(table.set, start, table.keyEnd(record), base + table.offsetDelta(record));
    }
    return true;
  }

  /** Ends pass 1: everything below `knownEnd` is noted or was clean before. */
  complete(knownEnd: bigint, tombstonesEndBelow: bigint): void {
    this.#knownEnd = this.#distance(knownEnd);
    this.#tombstonesEnd = this.#distance(tombstonesEndBelow);
  }

  /**
   * What is left of the batch at `at`: undefined when that is all of it, else new batches, possibly none. A batch whose
   * records cannot be decoded is kept: its checksum is good, so it is what a producer sent.
   */
  filter(buf: Uint8Array, at: number, seed: number): readonly Uint8Array[] | undefined {
    if (batchTypeAt(buf, at) !== BATCH_DATA || this.#distance(baseOffsetAt(buf, at)) >= this.#knownEnd)
      return undefined;
    const endsSession = this.#sessionEnds.has(lastOffsetAt(buf, at));
    if (recordCountAt(buf, at) === 0) return endsSession ? undefined : [];
    if (!this.#load(buf, at)) {
      this.undecodableBatches += 1;
      return undefined;
    }
    if (this.#judge()) return undefined;
    const rest = filterBatch(this.#table, this.#keeps, seed);
    return rest.length === 0 && endsSession ? emptiedBatch(this.#table, seed) : rest;
  }

  /** Decides about each record in the table; true when all are kept. */
  #judge(): boolean {
    const table = this.#table;
    if (this.#keeps.length < table.count) this.#keeps = new Uint8Array(table.count * 2);
    const base = this.#distance(table.header.baseOffset);
    let keepsAll = true;
    for (let record = 0; record < table.count; record += 1) {
      const keeps = this.#keepsRecord(record, base + table.offsetDelta(record));
      this.#keeps[record] = keeps ? 1 : 0;
      keepsAll &&= keeps;
    }
    return keepsAll;
  }

  #keepsRecord(record: number, offset: number): boolean {
    const table = this.#table;
    const start = table.keyStart(record);
    if (start < 0) return true;
    if (this.#keys.get(table.set, start, table.keyEnd(record)) > offset) return false;
    if (!table.isTombstone(record)) return true;
    const isOver = offset < this.#tombstonesEnd;
    if (isOver) this.removedTombstones += 1;
    else this.keptTombstones += 1;
    return !isOver;
  }

  /** Takes a data batch apart; false for a control batch and for one that cannot be decoded. */
  #load(buf: Uint8Array, at: number): boolean {
    if (batchTypeAt(buf, at) !== BATCH_DATA) return false;
    try {
      this.#table.load(buf, at);
      return true;
    } catch (error) {
      // The reader has verified both checksums: what is left are records that no reader can decode.
      if (asPartitaError(error) !== error) throw error;
      return false;
    }
  }

  #distance(offset: bigint): number {
    return Number(offset - this.#firstOffset);
  }
}
