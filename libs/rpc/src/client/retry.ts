/** Trying again, with growing pauses that do not fall into step with those of others. */
import { PartitaError, asPartitaError } from '@partita/domain';
import type { Random, Timers } from '@partita/domain';
import { isRetryable } from '../errors.ts';

const DELAY_MS_MIN = 100;
const DELAY_MS_MAX = 5000;

/** Pause before try `attempt` + 2 (attempt counts failures from 0): full jitter below 100 ms, 200 ms ... 5 s. */
export function backoffDelayMs(attempt: number, random: Random): number {
  return random.next() * Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** attempt);
}

export interface RetryOptions {
  readonly random: Random;
  readonly timers: Timers;
  /** Tries in all, at least 1. */
  readonly attemptCountMax: number;
  /** Ends the waiting with CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  /** Default isRetryable. An append is safe to repeat only as the same request: then the caller says so here. */
  readonly shouldRetry?: (error: PartitaError) => boolean;
}

/** The result of `work`, tried again while it fails with errors that may pass. Rejects with the last error. */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const shouldRetry = options.shouldRetry ?? isRetryable;
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt);
    } catch (thrown) {
      const error = asPartitaError(thrown);
      if (attempt + 1 >= options.attemptCountMax || !shouldRetry(error)) throw error;
      const delayMs = Math.max(backoffDelayMs(attempt, options.random), error.retryAfterMs ?? 0);
      await pause(delayMs, options);
    }
  }
}

function pause(delayMs: number, { timers, signal }: RetryOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      timer.cancel();
      reject(new PartitaError('CANCELLED', 'cancelled while waiting to try again'));
    };
    const timer = timers.after(delayMs, () => {
      signal?.removeEventListener('abort', abort);
      resolve();
    });
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
