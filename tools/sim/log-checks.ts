/** Holds a log against the model. Every function throws a Violation when a promise is broken. */
import { baseOffsetAt, batchBytesAt, isBatchAt } from '@partita/batch';
import type { EpochStart, LogSlice, PartitionLog } from '@partita/log';
import { isPartOf, keptOffsets } from './compacted-batch.ts';
import type { StoredBatch } from './log-identity.ts';
import type { LogModel } from './log-model.ts';
import { most } from './log-model.ts';
import { Violation } from './trace.ts';

/** What a reading asked for, and how things stood when it began. */
export interface ReadingStart {
  readonly from: bigint;
  readonly end: bigint;
  readonly maxBytes: number;
  readonly cutCount: number;
  readonly syncedEnd: bigint;
  /** How far the log was clean. */
  readonly cleanedTo: bigint;
}

/**
 * Every byte must be of a batch that was appended there and was in the log at some time since the reading began, or of
 * what a compaction may leave of one; what is passed over must be what a compaction may remove.
 */
export function checkSlice(model: LogModel, slice: LogSlice, start: ReadingStart): void {
  const { from, end, maxBytes, cutCount } = start;
  let offset = from;
  let count = 0;
  for (let at = 0; at < slice.bytes.length; count += 1) {
    const rest = slice.bytes.subarray(at);
    if (!isBatchAt(rest, 0)) throw new Violation(`wrong bytes served at offset ${offset}`);
    const bytes = rest.subarray(0, batchBytesAt(rest, 0));
    const base = baseOffsetAt(bytes, 0);
    if (base < offset && count > 0) throw new Violation(`wrong offset: ${base} behind ${offset}`);
    const batch = model.candidates(most(base, offset), cutCount).find((one) => isPartOf(one, bytes));
    if (batch === undefined) throw new Violation(`wrong bytes served at offset ${offset}`);
    if (batch.next > end) throw new Violation(`a batch up to ${batch.next} was served of a reading up to ${end}`);
    checkGone(model, offset, base);
    checkKept(model, batch, bytes, start.cleanedTo);
    offset = batch.next;
    at += bytes.length;
  }
  // Without a batch the reading goes on behind the hole that it found.
  const isBehindHole = count === 0 && slice.nextOffset > from && slice.nextOffset <= end;
  if (isBehindHole) checkGone(model, from, slice.nextOffset);
  else if (slice.nextOffset !== offset)
    throw new Violation(`wrong offset: ${slice.nextOffset} to go on after ${offset}`);
  if (count > 1 && slice.bytes.length > maxBytes) throw new Violation(`${slice.bytes.length} bytes, not ${maxBytes}`);
  if (count === 0) checkNothing(model, start);
}

/** A reading that gave nothing: nothing that has to be there was whole in its range. */
function checkNothing(model: LogModel, { from, end, cutCount, syncedEnd }: ReadingStart): void {
  if (cutCount !== model.cutCount || model.cuttingAt !== undefined) return;
  for (let number = model.numberOf(from); ; number += 1) {
    const first = model.batches[number];
    if (first === undefined || first.next > end || first.next > syncedEnd) return;
    if (!mayBeGone(model, first))
      throw new Violation(`nothing served at offset ${from}, though everything below ${syncedEnd} is durable`);
  }
}

/** No record between the offsets has to be there. */
function checkGone(model: LogModel, from: bigint, to: bigint): void {
  for (let number = model.numberOf(from); from < to; number += 1) {
    const batch = model.batches[number];
    if (batch === undefined || batch.base >= to) return;
    if (!mayBeGone(model, batch)) throw new Violation(`lost: the batch at offset ${batch.base} is not there`);
  }
}

/** What is left of a batch is all that has to be, and nothing that a compaction has removed for good. */
function checkKept({ compaction }: LogModel, batch: StoredBatch, bytes: Buffer, cleanedTo: bigint): void {
  if (batch.records.every(({ key }) => key === undefined)) return;
  const kept = keptOffsets(bytes);
  for (const [index, record] of batch.records.entries()) {
    const offset = batch.base + BigInt(index);
    if (!kept.has(offset) && !compaction.mayBeGone(record, offset))
      throw new Violation(`lost: the record at offset ${offset} is not there`);
    if (kept.has(offset) && compaction.mustBeGone(record, offset, cleanedTo))
      throw new Violation(`came back: the record at offset ${offset} was removed below ${cleanedTo}`);
  }
}

/** True when no record of the batch has to be there. */
function mayBeGone({ compaction }: LogModel, { base, records }: StoredBatch): boolean {
  return records.every((record, index) => compaction.mayBeGone(record, base + BigInt(index)));
}

/** The answer to offsetForTime. */
export function checkTime(
  model: LogModel,
  found: bigint | undefined,
  start: {
    readonly timestampMs: bigint;
    readonly cutCount: number;
    readonly syncedEnd: bigint;
    readonly logStart: bigint;
  },
): void {
  if (start.cutCount !== model.cutCount || model.cuttingAt !== undefined) return;
  const matching = model.batches.filter(({ maxTimestampMs }) => maxTimestampMs >= start.timestampMs);
  const certain = matching.find((batch) => batch.next > model.logStart && !mayBeGone(model, batch));
  const isDurable = certain !== undefined && certain.next <= start.syncedEnd;
  const isRight =
    found === undefined
      ? !isDurable
      : found >= start.logStart &&
        matching.some(
          ({ base, next }) => found < next && (found === base || (found > base && found <= model.logStart)),
        ) &&
        (certain === undefined || found <= most(certain.base, model.logStart));
  if (!isRight) throw new Violation(`wrong offset for time ${start.timestampMs}: ${found}, not ${certain?.base}`);
}

/** Ends, epochs and append time, at any moment but during a cut. */
export function checkState(log: PartitionLog, model: LogModel): void {
  if (log.logEnd !== model.end) throw new Violation(`wrong offset: the log ends at ${log.logEnd}, not ${model.end}`);
  if (log.syncedEnd > log.logEnd) throw new Violation(`synced up to ${log.syncedEnd} of ${log.logEnd}`);
  if (log.syncedEnd < model.ackedEnd) throw new Violation(`synced up to ${log.syncedEnd}, told ${model.ackedEnd}`);
  const time = model.batches.at(-1)?.appendTimeMs ?? 0n;
  if (log.lastAppendTimeMs !== time) {
    throw new Violation(`the last append time is ${log.lastAppendTimeMs}, not ${time}`);
  }
  const found = log.epochHistory.map(epochText).join(' ');
  const expected = model.epochHistory().map(epochText).join(' ');
  if (found !== expected) throw new Violation(`wrong epochs: ${found}, not ${expected}`);
  if (log.logStart !== model.logStart)
    throw new Violation(`wrong offset: the log starts at ${log.logStart}, not ${model.logStart}`);
  checkFold(log, model);
}

function epochText({ epoch, startOffset, unclean }: EpochStart): string {
  return `${epoch}@${startOffset}${unclean ? ' unclean' : ''}`;
}

/** The state that is made from the batches, those that were deleted or compacted included. */
function checkFold({ state, syncedEnd }: PartitionLog, model: LogModel): void {
  const { dataEnd, configs, claim } = model.stateBelow(syncedEnd);
  const found = [state.dataEnd, ...state.configs.map(({ offset }) => offset), 'claim', state.claim?.offset].join(' ');
  const expected = [dataEnd, ...configs, 'claim', claim].join(' ');
  if (found !== expected) throw new Violation(`wrong state: ${found}, not ${expected}`);
}
