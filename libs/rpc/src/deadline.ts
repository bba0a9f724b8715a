/** Deadlines that are passed on. */

/** Kept back for the way of the answer: a fixed part, and a share for long deadlines. */
const MARGIN_MS = 20;
const MARGIN_RATIO = 0.05;

/**
 * The deadline for a call made on behalf of one that has `remainingMs` left: a little less, so that the inner failure
 * still reaches the caller as itself and not as the outer time-out. At least 1 ms.
 */
export function passedOnDeadlineMs(remainingMs: number): number {
  return Math.max(1, Math.floor(remainingMs - MARGIN_MS - remainingMs * MARGIN_RATIO));
}
