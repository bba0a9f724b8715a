/** What the log must hold: every batch that was appended, and what was promised of it. */
import { BATCH_CLAIM, BATCH_CONFIG, BATCH_DATA, BATCH_EPOCH_START } from '@partita/batch';
import { CONFIG_RECORD_COUNT } from '@partita/domain';
import type { EpochStart } from '@partita/log';
import { CompactionModel } from './compaction-model.ts';
import type { StoredBatch } from './log-identity.ts';

/** What the durable batches add up to: ends and places. */
export interface ModelState {
  readonly dataEnd: bigint;
  /** Offsets, newest first. */
  readonly configs: readonly bigint[];
  readonly claim: bigint | undefined;
}

export class LogModel {
  /** All that was ever appended and neither cut nor lost since, in order from offset 0: deleted and compacted ones too. */
  batches: StoredBatch[] = [];
  /** What the program was told to be durable (with flush=os: written). */
  ackedEnd = 0n;
  /** No cut goes below it. */
  highMark = 0n;
  /** With flush=os: what a roll or a clean stop has synced. */
  sealedEnd = 0n;
  /** Leader epoch of the next batch. */
  epoch = 1;
  /** Everything below was deleted. */
  logStart = 0n;
  readonly compaction = new CompactionModel(() => this.batches);
  /** Grows at each cut. */
  cutCount = 0;
  /** Where a cut is going on. */
  cuttingAt: bigint | undefined;
  /** A log that begins anew there; it has, or had, these batches, all deleted. */
  restarting: { readonly base: bigint; readonly batches: readonly StoredBatch[] } | undefined;
  /** Where it last began anew. */
  restartedAt = 0n;
  /** Batches that were cut, and by which cut: a reading that began before may still show them. */
  #removed: { readonly batch: StoredBatch; readonly cut: number }[] = [];

  /** Offset behind the last batch. */
  get end(): bigint {
    return this.batches.at(-1)?.next ?? 0n;
  }

  /** Notes what `onSynced` told. */
  acknowledge(end: bigint): void {
    const { cuttingAt } = this;
    const kept = cuttingAt !== undefined && cuttingAt < end ? cuttingAt : end;
    if (kept > this.ackedEnd) this.ackedEnd = kept;
  }

  /** A roll synced everything below. */
  seal(end: bigint): void {
    const kept = this.cuttingAt === undefined ? end : least(end, this.cuttingAt);
    if (kept > this.sealedEnd) this.sealedEnd = kept;
  }

  /** A cut begins: nothing from there on is promised any more, but all of it may still be found. */
  beginCut(at: bigint): void {
    // Within a hole the log ends at the batch before it.
    this.cuttingAt = this.batches.findLast(({ next }) => next <= at)?.next ?? 0n;
    this.ackedEnd = least(this.ackedEnd, this.cuttingAt);
    this.sealedEnd = least(this.sealedEnd, this.cuttingAt);
  }

  /** The log was cut on purpose. */
  cut(at: bigint): void {
    this.cutCount += 1;
    for (const batch of this.#drop(at)) this.#removed.push({ batch, cut: this.cutCount });
    this.sealedEnd = least(this.sealedEnd, this.end);
  }

  /** A restart begins: until it has ended there is the old log or the new one. */
  beginRestart(base: bigint, batches: readonly StoredBatch[]): void {
    this.beginCut(batches.findLast((batch) => this.batches.includes(batch))?.next ?? 0n);
    this.restarting = { base, batches };
  }

  /** A restart has ended in the new log, or in the old one up to there. */
  endRestart(isNew: boolean, end: bigint): void {
    const { restarting } = this;
    this.cut(isNew ? (this.cuttingAt ?? end) : end);
    this.cuttingAt = undefined;
    this.restarting = undefined;
    if (!isNew || restarting === undefined) return;
    this.batches = [...restarting.batches];
    this.ackedEnd = this.sealedEnd = this.highMark = this.logStart = this.restartedAt = restarting.base;
    this.compaction.end(0n);
  }

  /** True when what lies at the offset may be gone for good. */
  mayBeDeleted(offset: bigint): boolean {
    return offset < this.logStart || (this.restarting !== undefined && offset < this.restarting.base);
  }

  /** After a start: the log ends here, and what it holds is promised from now on. */
  restart(end: bigint): void {
    this.#drop(end);
    this.#removed = [];
    this.cuttingAt = undefined;
    this.ackedEnd = end;
    this.sealedEnd = least(this.sealedEnd, end);
    this.highMark = least(this.highMark, end);
  }

  /** Number of the batch that holds the offset; that of a batch to come when none does. */
  numberOf(offset: bigint): number {
    let low = 0;
    let high = this.batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.batches[middle]?.next ?? 0n) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The batches that a reading which began at cut number `since` may show at the offset. */
  candidates(offset: bigint, since: number): StoredBatch[] {
    const now = this.batches[this.numberOf(offset)];
    const old = this.#removed.filter(({ batch, cut }) => cut > since && batch.base <= offset && offset < batch.next);
    return [...(now === undefined ? [] : [now]), ...old.map(({ batch }) => batch)];
  }

  /** Every leader epoch and its first offset. */
  epochHistory(): EpochStart[] {
    const starts: EpochStart[] = [];
    for (const { epoch, base, isUnclean } of this.batches) {
      if (epoch !== starts.at(-1)?.epoch) starts.push({ epoch, startOffset: base, unclean: isUnclean });
    }
    return starts;
  }

  /** The fold of the batches below the offset. */
  stateBelow(end: bigint): ModelState {
    let dataEnd = 0n;
    let claim: bigint | undefined;
    const configs: bigint[] = [];
    const changes: bigint[] = [];
    for (const { type, base, next } of this.batches) {
      if (next > end) break;
      if (type === BATCH_DATA) dataEnd = next;
      if (type === BATCH_CLAIM) claim = base;
      if (type === BATCH_EPOCH_START || type === BATCH_CONFIG) configs.unshift(base);
      if (type === BATCH_CONFIG) changes.unshift(base);
    }
    const newest = [...configs.slice(0, CONFIG_RECORD_COUNT), ...changes.slice(0, CONFIG_RECORD_COUNT)];
    return { dataEnd, configs: configs.filter((base) => newest.includes(base)), claim };
  }

  /** True when a batch begins at the offset, or the log ends there. */
  isBoundary(offset: bigint): boolean {
    return offset === 0n || this.batches[this.numberOf(offset - 1n)]?.next === offset;
  }

  #drop(from: bigint): StoredBatch[] {
    const number = this.batches.findIndex(({ base }) => base >= from);
    return number < 0 ? [] : this.batches.splice(number);
  }
}

export function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

export function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
