/**
 * The plain records of one topic (and one partition, where the caller names it) on their way, in order. One frame is under
 * way at a time: only so can a refused frame be sent again without overtaking a later one. Frames grow under load instead.
 */
import {
  DEADLINE_MS_MAX,
  PartitaError,
  PRODUCE_FRAME_BYTES_MAX,
  PRODUCE_FRAME_RECORD_COUNT_MAX,
} from '@partita/domain';
import type { AppendAck, Record as WireRecord } from '@partita/protocol';
import { fromRpcStatus, outcomeOf } from '@partita/rpc';
import { Fifo } from '../fifo.ts';
import type { FrameOutcome } from './produce-link.ts';
import { isOneBatch } from './producer-options.ts';
import type { SendOptions } from './producer-options.ts';
import { mayPass } from './retried-errors.ts';

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
  /** Of the calls whose records are in it. One that asks for a batch of its own has a lane of its own. */
  readonly options: SendOptions;
  /** Monotonic milliseconds before which nothing is sent, after a refusal. */
  notBeforeMs = 0;
  /** Refusals in a row. */
  attempt = 0;
  /** True while a frame waits for its result. */
  underWay = false;
  /** Its records are one call's, and go together or not at all. */
  readonly #isWhole: boolean;
  /** True once a frame may have been stored although it is sent again. */
  #inDoubt = false;
  readonly #queue = new Fifo<PendingRecord>();
  #queuedBytes = 0;
  #lastError: PartitaError | undefined;

  constructor(topic: string, options: SendOptions) {
    this.topic = topic;
    this.options = options;
    this.#isWhole = isOneBatch(options);
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
        if (full && records.length > 0 && !this.#isWhole) break;
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
    else this.#finishEach(frame, outcome, again);
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
      if (!next.settled) this.#fail(next, tooLate(this.topic, this.#lastError ?? why));
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
      const isInnocent = bad !== undefined && pending !== bad && !this.#isWhole;
      if (this.#maySendAgain(error) || isInnocent) again.set(pending, error);
      else this.#fail(pending, error);
    }
  }

  #finishEach(
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
        else if (error !== undefined && this.#maySendAgain(error)) again.set(pending, error);
        else if (error !== undefined) this.#fail(pending, error);
      }
    }
    for (const pending of frame.records) {
      if (!answered.has(pending))
        pending.settle(new PartitaError('OUTCOME_UNKNOWN', 'the gateway answered without a result for this record'));
    }
  }

  /** Certainly not stored and may be later; or in doubt, where the leader knows a repeat. */
  #maySendAgain(error: PartitaError): boolean {
    if (outcomeOf(error) !== 'unknown') return mayPass(error);
    this.#inDoubt ||= this.options.requestId !== undefined;
    return this.#inDoubt;
  }

  /** Doubt stays, whatever a later attempt was refused with. */
  #fail(pending: PendingRecord, error: PartitaError): void {
    if (!this.#inDoubt || outcomeOf(error) === 'unknown') return pending.settle(error);
    const text = `the record may have been stored by an earlier attempt; the last one: ${error.message}`;
    pending.settle(new PartitaError('OUTCOME_UNKNOWN', text, { topic: this.topic, last_reason: error.reason }));
  }
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
