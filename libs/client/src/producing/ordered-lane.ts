/**
 * The batches of one partition (of one producer session, if they have one) on their way, in order. Those of a session are
 * sent without waiting for each other; when one fails in a way that may pass, all that are behind it are sent again after
 * it, once nothing is under way any more: so a batch never overtakes an earlier one. Batches without a session go one by
 * one.
 *
 * Doubt stays: a batch that may have been stored by one attempt is OUTCOME_UNKNOWN in the end, whatever a later attempt
 * was refused with, unless it is acknowledged.
 */
import { DEADLINE_MS_MAX, PartitaError, PRODUCER_WINDOW_COUNT } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import { outcomeOf } from '@partita/rpc';
import { backoffDelayMs } from '@partita/rpc/client';
import { Fifo } from '../fifo.ts';
import { JITTER } from '../jitter.ts';
import { isPaid } from '../retry-budget.ts';
import type { RetryBudget } from '../retry-budget.ts';
import type { AppendJob, AppendOutcome } from './append-job.ts';

/** Told with what could not be sent in time: others were in front of it, and some of them are gone then. */
const LATE_RETRY_MS = 200;

/** One attempt: `done` is called once, never before this returns. */
export type Attempt = (job: AppendJob, timeoutMs: number, done: (outcome: AppendOutcome) => void) => void;

export interface LaneOwner {
  readonly attempt: Attempt;
  /** Whether a batch that was certainly not stored may be tried again after this. */
  mayPass(error: PartitaError): boolean;
  /** Told of each failure before it is decided whether to try again. */
  onFailure(job: AppendJob, error: PartitaError): void;
  /** Told when a batch is sent again, with why the attempt before failed. */
  readonly onRetry?: ((reason: ErrorReason) => void) | undefined;
  /** Of where the batches go now; absent = none. */
  readonly budget?: (() => RetryBudget | undefined) | undefined;
  /** What becomes of a batch that must not be repeated by the budget: its pauses grow, until its deadline (default), or it fails. */
  readonly whenSpent?: 'slow' | 'fail' | undefined;
  /** Nothing is left. */
  onIdle(): void;
}

interface Entry {
  readonly job: AppendJob;
  readonly deadlineAtMs: number;
  /** Number of the attempt under way, 0 = none: what an abandoned one answers is not heard. */
  attempt: number;
  /** True once an attempt may have stored it. */
  inDoubt: boolean;
  lastError: PartitaError | undefined;
}

export class OrderedLane {
  readonly #owner: LaneOwner;
  readonly #windowCount: number;
  readonly #queue = new Fifo<Entry>();
  /** Sent, or about to be sent again, in order; the oldest first. Invariant: at most #windowCount. */
  #window: Entry[] = [];
  #queuedBytes = 0;
  /** What made the lane stop sending: the window is sent again when nothing is under way and the pause is over. */
  #failure: PartitaError | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Failures in a row. */
  #failureCount = 0;
  #attemptCount = 0;
  #closed = false;

  constructor(owner: LaneOwner, hasSession: boolean) {
    this.#owner = owner;
    this.#windowCount = hasSession ? PRODUCER_WINDOW_COUNT : 1;
  }

  /** Waiting and under way. */
  get count(): number {
    return this.#window.length + this.#queue.length;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  push(job: AppendJob): void {
    const deadlineAtMs = job.deadlineAtMs ?? performance.now() + DEADLINE_MS_MAX;
    this.#queue.push({ job, deadlineAtMs, attempt: 0, inDoubt: false, lastError: undefined });
    this.#queuedBytes += job.recordBatches.byteLength;
    this.#pump();
  }

  /** There is news of where to send: a pause is over. */
  wake(): void {
    if (this.#pause === undefined) return;
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#sendAgain();
  }

  /** Fails what has waited past its deadline and was never sent. */
  expire(nowMs: number): void {
    if (this.#queue.length === 0) return;
    for (const entry of this.#queue.removeWhere(({ deadlineAtMs }) => deadlineAtMs <= nowMs)) {
      this.#queuedBytes -= entry.job.recordBatches.byteLength;
      entry.job.done(tooLate(entry));
    }
  }

  /** What is under way is in doubt and sent again: it went to somebody who cannot answer for the partition any more. */
  abandon(why: PartitaError): void {
    if (this.#windowCount === 1) return;
    for (const entry of this.#window.filter(({ attempt }) => attempt !== 0)) this.#onOutcome(entry, entry.attempt, why);
  }

  /** Fails what waits; what is under way still gets its outcome. */
  close(error: PartitaError): void {
    this.#closed = true;
    clearTimeout(this.#pause);
    this.#pause = undefined;
    for (const entry of this.#window.filter(({ attempt }) => attempt === 0))
      this.#finish(entry, failureOf(entry, error));
    for (const entry of this.#queue.clear()) {
      this.#queuedBytes -= entry.job.recordBatches.byteLength;
      entry.job.done(error);
    }
  }

  #pump(): void {
    while (this.#failure === undefined && !this.#closed && this.#window.length < this.#windowCount) {
      const entry = this.#queue.shift();
      if (entry === undefined) return;
      this.#window.push(entry);
      this.#send(entry);
    }
  }

  #send(entry: Entry): void {
    const attempt = ++this.#attemptCount;
    entry.attempt = attempt;
    const leftMs = entry.deadlineAtMs - performance.now();
    if (leftMs <= 0) return queueMicrotask(() => this.#onOutcome(entry, attempt, tooLate(entry)));
    if (entry.lastError === undefined) this.#owner.budget?.()?.called();
    this.#owner.attempt(entry.job, Math.min(leftMs, DEADLINE_MS_MAX), (outcome) =>
      this.#onOutcome(entry, attempt, outcome),
    );
  }

  #onOutcome(entry: Entry, attempt: number, outcome: AppendOutcome): void {
    if (entry.attempt !== attempt) return;
    entry.attempt = 0;
    entry.job.trace?.endAttempt(outcome);
    if (!(outcome instanceof PartitaError)) {
      this.#failureCount = 0;
      this.#finish(entry, outcome);
    } else {
      this.#owner.onFailure(entry.job, outcome);
      // Whatever was seen of the failing attempt, an earlier one of the same batch may have been stored.
      if (outcomeOf(outcome) === 'unknown') entry.inDoubt = true;
      entry.lastError = outcome;
      if (this.#mayTryAgain(entry, outcome) && this.#isAffordable(entry, outcome)) this.#failure ??= outcome;
      else this.#finish(entry, failureOf(entry, outcome));
    }
    if (this.#failure === undefined) this.#pump();
    else this.#pauseWhenQuiet();
  }

  #mayTryAgain(entry: Entry, error: PartitaError): boolean {
    if (this.#closed || entry.deadlineAtMs <= performance.now()) return false;
    if (outcomeOf(error) === 'unknown') return this.#windowCount > 1;
    // Refused since an earlier one was not stored, maybe the first of its session: its turn comes after that one's.
    if (error.reason === 'OUT_OF_ORDER_SEQUENCE' || error.reason === 'UNKNOWN_PRODUCER')
      return this.#window[0] !== entry;
    return this.#owner.mayPass(error);
  }

  /** A batch that may be stored is never given up for the budget: its session would not know. */
  #isAffordable({ inDoubt }: Entry, error: PartitaError): boolean {
    if (this.#owner.whenSpent !== 'fail' || inDoubt || !isPaid(error)) return true;
    return this.#owner.budget?.()?.trySpend() ?? true;
  }

  /** How much longer than told or usual the pause is, for want of a budget. */
  #slowDownMs(failure: PartitaError): number {
    if (this.#owner.whenSpent === 'fail' || !isPaid(failure)) return 0;
    const isAffordable = this.#owner.budget?.()?.trySpend(this.#window.length) ?? true;
    return isAffordable ? 0 : backoffDelayMs(this.#failureCount, JITTER);
  }

  #pauseWhenQuiet(): void {
    const failure = this.#failure;
    if (failure === undefined || this.#pause !== undefined || this.#window.some(({ attempt }) => attempt !== 0)) return;
    const first = this.#window[0];
    if (first === undefined || this.#closed) return this.#sendAgain();
    const leftMs = Math.max(0, first.deadlineAtMs - performance.now());
    const usualMs = failure.retryAfterMs ?? backoffDelayMs(this.#failureCount, JITTER);
    const delayMs = Math.min(leftMs, usualMs + this.#slowDownMs(failure));
    this.#failureCount += 1;
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#sendAgain();
    }, delayMs);
  }

  #sendAgain(): void {
    this.#failure = undefined;
    // A copy: one that is past its deadline leaves the window, though not before this loop is over.
    for (const entry of [...this.#window]) {
      if (entry.lastError !== undefined) this.#owner.onRetry?.(entry.lastError.reason);
      this.#send(entry);
    }
    this.#pump();
  }

  #finish(entry: Entry, outcome: AppendOutcome): void {
    this.#window = this.#window.filter((other) => other !== entry);
    this.#queuedBytes -= entry.job.recordBatches.byteLength;
    entry.job.done(outcome);
    if (this.count === 0) this.#owner.onIdle();
  }
}

function failureOf({ job, inDoubt }: Entry, error: PartitaError): PartitaError {
  if (!inDoubt || outcomeOf(error) === 'unknown') return error;
  const metadata = { topic: job.topic, partition: String(job.partition), last_reason: error.reason };
  const text = `the batch for "${job.topic}" may have been stored by an earlier attempt; the last one: ${error.message}`;
  return new PartitaError('OUTCOME_UNKNOWN', text, metadata, { cause: error });
}

function tooLate({ job, lastError }: Entry): PartitaError {
  const why = lastError === undefined ? '' : `: ${lastError.message}`;
  const metadata = {
    topic: job.topic,
    partition: String(job.partition),
    ...(lastError === undefined ? {} : { last_reason: lastError.reason }),
  };
  const text = `the batch for "${job.topic}" could not be delivered within its time${why}`;
  return new PartitaError('TIMED_OUT', text, metadata, { retryAfterMs: LATE_RETRY_MS });
}
