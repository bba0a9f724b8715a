/**
 * Bounds how many calls to a server may be repeats, so that one that has too much to do is not given more for it: a share
 * of the calls that are made for the first time, and a few in each second for those who call seldom.
 *
 * Only what a server refused for want of room is paid for. A repeat that goes somewhere else, or for which something has
 * changed, is free: after NOT_LEADER, a lost connection, an election. Those are how a failover goes on, and their pauses
 * grow by themselves. QUOTA_EXCEEDED is free, too: it says when there is room again, and that is kept.
 */
import { RETRIES_PER_SECOND_MIN, RETRIES_SAVED_COUNT_MAX, RETRY_SHARE_MAX } from '@partita/domain';
import type { ErrorReason, PartitaError } from '@partita/domain';

const MS_PER_S = 1000;

export class RetryBudget {
  /** Repeats that may be made now. */
  #count = RETRIES_PER_SECOND_MIN;
  #atMs: number;
  readonly #now: () => number;

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#atMs = now();
  }

  /** A call is made for the first time. */
  called(): void {
    this.#count = Math.min(RETRIES_SAVED_COUNT_MAX, this.#count + RETRY_SHARE_MAX);
  }

  /** True and spent when so many calls may be repeated. */
  trySpend(count = 1): boolean {
    const nowMs = this.#now();
    const inTimeCount = ((nowMs - this.#atMs) / MS_PER_S) * RETRIES_PER_SECOND_MIN;
    this.#atMs = nowMs;
    // What time gives is not saved beyond a second of it; what calls gave stays.
    if (this.#count < RETRIES_PER_SECOND_MIN) this.#count = Math.min(RETRIES_PER_SECOND_MIN, this.#count + inTimeCount);
    if (this.#count < count) return false;
    this.#count -= count;
    return true;
  }
}

const PAID_REASONS: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  'QUEUE_FULL',
  'STORAGE_FULL',
  'PRODUCER_TABLE_FULL',
  'TIMED_OUT',
]);

/** Whether a repeat after this is paid for. */
export function isPaid({ reason }: PartitaError): boolean {
  return PAID_REASONS.has(reason);
}
