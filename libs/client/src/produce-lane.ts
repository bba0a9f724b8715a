/**
 * The records of one topic (and one partition, where the caller names it) on their way, in order. One frame is under way
 * at a time: only so can a refused frame be sent again without overtaking a later one. Frames grow under load instead.
 */
import {
  DEADLINE_MS_MAX,
  PartitaError,
  PRODUCE_FRAME_BYTES_MAX,
  PRODUCE_FRAME_RECORD_COUNT_MAX,
} from '@partita/domain';
import type { AppendAck, Record as WireRecord } from '@partita/protocol';
import { fromRpcStatus, outcomeOf, retryAdviceOf } from '@partita/rpc';
import { Fifo } from './fifo.ts';
import type { FrameOutcome } from './produce-link.ts';

/** A record that waits for its result. */
export interface PendingRecord {
  readonly record: WireRecord;
  readonly bytes: number;
  /** Monotonic milliseconds. */
  readonly queuedAtMs: number;
  readonly deadlineAtMs: number;
  /** True once it may have reached the gateway. */
  sent: boolean;
  /** True once it has its result: cancelled by its caller, or answered. */
  settled: boolean;
  /** Called once. For an ack, `offset` is the record's. */
  readonly settle: (outcome: PartitaError | { readonly ack: AppendAck; readonly offset: bigint }) => void;
}

/** Records that go out together. */
export interface LaneFrame {
  readonly records: readonly PendingRecord[];
  readonly bytes: number;
  readonly timeoutMs: number;
}

export class ProduceLane {
  readonly topic: string;
  readonly partition: number | undefined;
  /** Monotonic milliseconds before which nothing is sent, after a refusal. */
  notBeforeMs = 0;
  /** Refusals in a row. */
  attempt = 0;
  /** True while a frame waits for its result. */
  underWay = false;
  readonly #queue = new Fifo<PendingRecord>();
  #queuedBytes = 0;
  #lastError: PartitaError | undefined;

  constructor(topic: string, partition: number | undefined) {
    this.topic = topic;
    this.partition = partition;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  push(pending: PendingRecord): void {
    this.#queue.push(pending);
    this.#queuedBytes += pending.bytes;
  }

  /** When the next frame should go: now once it is full, else `lingerMs` after its first record came. */
  dueAtMs(lingerMs: number): number {
    const first = this.#queue.first;
    const full = this.#queue.length >= PRODUCE_FRAME_RECORD_COUNT_MAX || this.#queuedBytes >= PRODUCE_FRAME_BYTES_MAX;
    if (first === undefined || full) return this.notBeforeMs;
    return Math.max(this.notBeforeMs, first.queuedAtMs + lingerMs);
  }

  /** Size of the frame that `take` would give, at most. */
  get nextBytes(): number {
    return Math.min(this.#queuedBytes, Math.max(PRODUCE_FRAME_BYTES_MAX, this.#queue.first?.bytes ?? 0));
  }

  /** The next frame, or undefined when nothing is left to send. */
  take(nowMs: number): LaneFrame | undefined {
    const records: PendingRecord[] = [];
    let bytes = 0;
    for (let next = this.#queue.first; next !== undefined; next = this.#queue.first) {
      if (!next.settled) {
        const full = bytes + next.bytes > PRODUCE_FRAME_BYTES_MAX || records.length >= PRODUCE_FRAME_RECORD_COUNT_MAX;
        if (full && records.length > 0) break;
        records.push(next);
        bytes += next.bytes;
      }
      this.#drop();
    }
    const first = records[0];
    if (first === undefined) return undefined;
    this.underWay = true;
    return { records, bytes, timeoutMs: Math.min(DEADLINE_MS_MAX, first.deadlineAtMs - nowMs) };
  }

  /** Hands out the results of a frame. What may be sent again is put back in front; its error is returned. */
  finish(frame: LaneFrame, outcome: FrameOutcome): PartitaError | undefined {
    this.underWay = false;
    const again = new Map<PendingRecord, PartitaError>();
    if (outcome instanceof PartitaError) this.#finishWhole(frame, outcome, again);
    else finishEach(frame, outcome, again);
    const back = frame.records.filter((pending) => again.has(pending) && !pending.settled);
    for (const pending of back) pending.sent = false;
    this.#queue.putBack(back);
    for (const pending of back) this.#queuedBytes += pending.bytes;
    this.#lastError = back[0] === undefined ? undefined : again.get(back[0]);
    return this.#lastError;
  }

  /** Fails what is past its deadline. `why` = what keeps the records from going, when the lane itself does not know. */
  expire(nowMs: number, why: PartitaError | undefined): void {
    for (
      let next = this.#queue.first;
      next !== undefined && (next.settled || next.deadlineAtMs <= nowMs);
      next = this.#queue.first
    ) {
      this.#drop();
      if (!next.settled) next.settle(tooLate(this.topic, this.#lastError ?? why));
    }
  }

  /** Fails everything that is queued. */
  fail(error: PartitaError): void {
    this.#queuedBytes = 0;
    for (const pending of this.#queue.clear()) if (!pending.settled) pending.settle(error);
  }

  #drop(): void {
    this.#queuedBytes -= this.#queue.shift()?.bytes ?? 0;
  }

  #finishWhole(frame: LaneFrame, error: PartitaError, again: Map<PendingRecord, PartitaError>): void {
    // The gateway refuses a request for its first bad record. The others are innocent and may not even be the same caller's.
    const bad = error.metadata['index'] === undefined ? undefined : frame.records[Number(error.metadata['index'])];
    for (const pending of frame.records) {
      if (maySendAgain(error) || (bad !== undefined && pending !== bad)) again.set(pending, error);
      else pending.settle(error);
    }
  }
}

function finishEach(
  frame: LaneFrame,
  response: Exclude<FrameOutcome, PartitaError>,
  again: Map<PendingRecord, PartitaError>,
): void {
  const answered = new Set<PendingRecord>();
  for (const { recordIndexes, outcome } of response.results) {
    const error = outcome?.$case === 'error' ? fromRpcStatus(outcome.error) : undefined;
    for (const [position, index] of recordIndexes.entries()) {
      const pending = frame.records[index];
      if (pending === undefined || outcome === undefined) continue;
      answered.add(pending);
      if (outcome.$case === 'ack')
        pending.settle({ ack: outcome.ack, offset: outcome.ack.baseOffset + BigInt(position) });
      else if (error !== undefined && maySendAgain(error)) again.set(pending, error);
      else if (error !== undefined) pending.settle(error);
    }
  }
  for (const pending of frame.records) {
    if (!answered.has(pending))
      pending.settle(new PartitaError('OUTCOME_UNKNOWN', 'the gateway answered without a result for this record'));
  }
}

/** Certainly not stored, and may be later. */
function maySendAgain(error: PartitaError): boolean {
  const advice = retryAdviceOf(error);
  return outcomeOf(error) === 'rejected' && (advice === 'BACKOFF' || advice === 'AFTER_DELAY' || advice === 'REFRESH');
}

function tooLate(topic: string, last: PartitaError | undefined): PartitaError {
  const why = last === undefined ? '' : `: ${last.message}`;
  const metadata = { topic, ...(last === undefined ? {} : { last_reason: last.reason }) };
  return new PartitaError(
    'TIMED_OUT',
    `the record for "${topic}" could not be delivered within its time${why}`,
    metadata,
  );
}
