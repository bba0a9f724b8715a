/** Holds a log against the model. Every function throws a Violation when a promise is broken. */
import type { LogSlice, PartitionLog } from '@partita/log';
import type { LogModel } from './log-model.ts';
import { Violation } from './trace.ts';

/** What a reading asked for, and how things stood when it began. */
export interface ReadingStart {
  readonly from: bigint;
  readonly end: bigint;
  readonly maxBytes: number;
  readonly cutCount: number;
  readonly syncedEnd: bigint;
}

/** Every byte must be of a batch that was appended there and was in the log at some time since the reading began. */
export function checkSlice(model: LogModel, slice: LogSlice, start: ReadingStart): void {
  const { from, end, maxBytes, cutCount, syncedEnd } = start;
  let offset = from;
  let count = 0;
  for (let at = 0; at < slice.bytes.length; count += 1) {
    const rest = slice.bytes.subarray(at);
    const batch = model
      .candidates(offset, cutCount)
      .find(({ bytes, base }) => (count === 0 || base === offset) && rest.subarray(0, bytes.length).equals(bytes));
    if (batch === undefined) throw new Violation(`wrong bytes served at offset ${offset}`);
    if (batch.next > end) throw new Violation(`a batch up to ${batch.next} was served of a reading up to ${end}`);
    offset = batch.next;
    at += batch.bytes.length;
  }
  if (slice.nextOffset !== offset) throw new Violation(`wrong offset: ${slice.nextOffset} to go on after ${offset}`);
  if (count > 1 && slice.bytes.length > maxBytes) throw new Violation(`${slice.bytes.length} bytes, not ${maxBytes}`);
  const first = model.batches[model.numberOf(from)];
  const isQuiet = cutCount === model.cutCount && model.cuttingAt === undefined;
  if (count === 0 && isQuiet && first !== undefined && first.next <= end && first.next <= syncedEnd) {
    throw new Violation(`nothing served at offset ${from}, though everything below ${syncedEnd} is durable`);
  }
}

/** The answer to offsetForTime. */
export function checkTime(
  model: LogModel,
  found: bigint | undefined,
  start: { readonly timestampMs: bigint; readonly cutCount: number; readonly syncedEnd: bigint },
): void {
  if (start.cutCount !== model.cutCount || model.cuttingAt !== undefined) return;
  const expected = model.batches.find(({ maxTimestampMs }) => maxTimestampMs >= start.timestampMs);
  const isDurable = expected !== undefined && expected.next <= start.syncedEnd;
  if (found === undefined ? isDurable : found !== expected?.base) {
    throw new Violation(`wrong offset for time ${start.timestampMs}: ${found}, not ${expected?.base}`);
  }
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
  const found = log.epochHistory.map(({ epoch, startOffset }) => `${epoch}@${startOffset}`).join(' ');
  const expected = model
    .epochHistory()
    .map(({ epoch, startOffset }) => `${epoch}@${startOffset}`)
    .join(' ');
  if (found !== expected) throw new Violation(`wrong epochs: ${found}, not ${expected}`);
}
