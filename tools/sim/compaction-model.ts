/** What compactions may have removed of a log, and what they must have: a record by its key, a tombstone by its time. */
import type { CompactionPlan } from '@partita/log';
import type { StoredBatch, StoredRecord } from './log-identity.ts';
import { most } from './log-model.ts';
import { Violation } from './trace.ts';

/** A pass that was put in place, or may have been. */
interface Pass {
  readonly cleanedTo: bigint;
  readonly atMs: bigint;
}

export class CompactionModel {
  /** What the log says of itself: below it each key has one record. */
  cleanedTo = 0n;
  readonly #batches: () => readonly StoredBatch[];
  /** Sealed end of the plans that were put in place, or may have been. Nothing below it is ever cut. */
  #sealedBelow = 0n;
  #tombstonesBelow = 0n;
  /** Since the log was opened. */
  #begun: bigint[] = [];
  #passes: Pass[] = [];
  /** Offset of the last record of each key below an offset. */
  readonly #lastBelow = new Map<bigint, ReadonlyMap<string, bigint>>();

  constructor(batches: () => readonly StoredBatch[]) {
    this.#batches = batches;
  }

  /** A plan was made: a tombstone may go in it only when a pass that it survived is that long ago. */
  checkPlan(plan: CompactionPlan, nowMs: number, tombstoneDelayMs: number): void {
    const ripe = this.#passes.filter(({ atMs }) => Number(atMs) <= nowMs - tombstoneDelayMs);
    const least = ripe.reduce((end, { cleanedTo }) => most(end, cleanedTo), 0n);
    if (plan.tombstonesEndBelow > least)
      throw new Violation(`lost: tombstones below ${plan.tombstonesEndBelow} may go, but only ${least} is over`);
  }

  /** The swap of a pass begins: from here on a start may complete it. */
  begin(plan: CompactionPlan, cleanedTo: bigint, nowMs: number): void {
    this.#sealedBelow = most(this.#sealedBelow, plan.segments.at(-1)?.endOffset ?? 0n);
    this.#tombstonesBelow = most(this.#tombstonesBelow, plan.tombstonesEndBelow);
    this.#begun.push(cleanedTo);
    this.#passes.push({ cleanedTo, atMs: BigInt(Math.floor(nowMs)) });
  }

  /** The log answered that the pass is in place. */
  end(cleanedTo: bigint): void {
    this.cleanedTo = cleanedTo;
    this.#begun = [];
  }

  /** After a start the log says how far it is clean. `isForgotten`: it may have had to forget. */
  restart(cleanedTo: bigint, isForgotten: boolean): void {
    const expected = [this.cleanedTo, ...this.#begun, ...(isForgotten ? [0n] : [])];
    if (!expected.includes(cleanedTo))
      throw new Violation(`wrong compaction state: clean to ${cleanedTo}, not ${expected.join(' or ')}`);
    this.end(cleanedTo);
  }

  /** True when the record need not be there any more. */
  mayBeGone({ key, isTombstone }: StoredRecord, offset: bigint): boolean {
    if (key === undefined) return false;
    return this.#isEnded(key, offset, this.#sealedBelow) || (isTombstone && offset < this.#tombstonesBelow);
  }

  /** True when the record must not be there any more in a log that is clean up to there. */
  mustBeGone({ key }: StoredRecord, offset: bigint, cleanedTo: bigint): boolean {
    return key !== undefined && this.#isEnded(key, offset, cleanedTo);
  }

  #isEnded(key: string, offset: bigint, below: bigint): boolean {
    return offset < below && (this.#lastOffsets(below).get(key) ?? 0n) > offset;
  }

  #lastOffsets(below: bigint): ReadonlyMap<string, bigint> {
    const known = this.#lastBelow.get(below);
    if (known !== undefined) return known;
    const offsets = new Map<string, bigint>();
    for (const { base, records } of this.#batches()) {
      for (const [index, { key }] of records.entries()) {
        const offset = base + BigInt(index);
        if (key !== undefined && offset < below) offsets.set(key, offset);
      }
    }
    this.#lastBelow.set(below, offsets);
    return offsets;
  }
}
