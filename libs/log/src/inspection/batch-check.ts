/** The rules that the batches of a partition keep among each other, checked one batch after the other. */
import {
  appendTimeMsAt,
  BATCH_DATA,
  baseOffsetAt,
  batchTypeAt,
  decodeBatch,
  lastOffsetAt,
  lastOffsetDeltaAt,
  leaderEpochAt,
  recordCountAt,
} from '@partita/batch';
import type { EpochStart } from '../epoch-history.ts';
import type { Check } from './finding.ts';

/** Something wrong with one batch, or right behind it. */
export interface BatchFault {
  readonly check: Check;
  readonly message: string;
}

export class BatchCheck {
  /** Offset behind the last batch. */
  nextOffset: bigint;
  /** Epochs as the headers tell them. Right while `isWhole`. */
  readonly epochs: Pick<EpochStart, 'epoch' | 'startOffset'>[] = [];
  /** Append time of the last batch; undefined before the first. */
  lastAppendTimeMs: bigint | undefined;
  /** False once something was missing or wrong: what the headers add up to is not the whole. */
  isWhole = true;
  batchCount = 0;
  recordCount = 0;
  holeCount = 0;
  /** Offsets in holes. */
  missingCount = 0n;
  firstHole: bigint | undefined;

  constructor(firstOffset: bigint) {
    this.nextOffset = firstOffset;
  }

  /** Takes the batch at `at`, whose checksums hold; says what is wrong with it, at most one thing. */
  batch(bytes: Buffer, at: number, deep: boolean): BatchFault | undefined {
    this.batchCount += 1;
    this.recordCount += recordCountAt(bytes, at);
    const fault = this.#order(bytes, at) ?? (deep ? recordsFault(bytes, at) : undefined);
    if (fault !== undefined) this.isWhole = false;
    const end = lastOffsetAt(bytes, at) + 1n;
    if (end > this.nextOffset) this.nextOffset = end;
    const epoch = leaderEpochAt(bytes, at);
    const last = this.epochs.at(-1);
    if (last === undefined || epoch > last.epoch) this.epochs.push({ epoch, startOffset: baseOffsetAt(bytes, at) });
    this.lastAppendTimeMs = appendTimeMsAt(bytes, at);
    return fault;
  }

  /** Notes that the next batch should begin at the offset, or that what is between is missing. */
  begin(offset: bigint): BatchFault | undefined {
    if (offset < this.nextOffset) {
      this.isWhole = false;
      return {
        check: 'offsets',
        message: `offset ${offset} follows although the log before it ends at ${this.nextOffset}`,
      };
    }
    if (offset > this.nextOffset && this.isWhole) {
      this.holeCount += 1;
      this.missingCount += offset - this.nextOffset;
      this.firstHole ??= this.nextOffset;
    }
    this.nextOffset = offset;
    return undefined;
  }

  #order(bytes: Buffer, at: number): BatchFault | undefined {
    const delta = lastOffsetDeltaAt(bytes, at);
    const count = recordCountAt(bytes, at);
    if (delta < 0 || count < 0 || count > delta + 1 || baseOffsetAt(bytes, at) < 0n) {
      return { check: 'batch', message: `${count} records do not fit offsets ${baseOffsetAt(bytes, at)} + ${delta}` };
    }
    const fault = this.begin(baseOffsetAt(bytes, at));
    if (fault !== undefined) return fault;
    const last = this.epochs.at(-1)?.epoch ?? 0;
    const epoch = leaderEpochAt(bytes, at);
    if (epoch < last) return { check: 'batch', message: `leader epoch ${epoch} follows epoch ${last}` };
    return undefined;
  }
}

function recordsFault(bytes: Buffer, at: number): BatchFault | undefined {
  if (batchTypeAt(bytes, at) !== BATCH_DATA) return undefined;
  try {
    decodeBatch(bytes, at);
    return undefined;
  } catch (error) {
    return { check: 'records', message: error instanceof Error ? error.message : String(error) };
  }
}
