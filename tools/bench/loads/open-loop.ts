/**
 * Records at a rate, open loop: each has a moment at which it is due, whatever became of those before it. Latency is
 * counted from there, so that what holds the sender up delays all that is due meanwhile and hides nothing.
 */
import { pause } from '@partita/client';

const TICK_MS = 1;

export interface Schedule {
  /** When the first record is due, by performance.now(). */
  readonly startMs: number;
  readonly ratePerSecond: number;
  readonly recordCount: number;
}

/** When a record is due; the first is 0. */
export function dueMs({ startMs, ratePerSecond }: Schedule, index: number): number {
  return startMs + (index * 1000) / ratePerSecond;
}

/**
 * Hands out records as they become due, by the numbers `from` to below `until`, looking every millisecond. Resolves when
 * all are sent; the first that fails ends it.
 */
export async function sendAtRate(
  schedule: Schedule,
  send: (from: number, until: number) => Promise<unknown>,
): Promise<void> {
  const sending = new Set<Promise<unknown>>();
  const failures: unknown[] = [];
  let from = 0;
  while (from < schedule.recordCount && failures.length === 0) {
    const until = dueCount(schedule, performance.now());
    if (until > from) {
      const call: Promise<unknown> = send(from, until)
        .catch((error: unknown) => failures.push(error))
        .finally(() => sending.delete(call));
      sending.add(call);
    }
    from = Math.max(from, until);
    await pause(TICK_MS);
  }
  if (failures.length === 0) await Promise.all(sending);
  if (failures.length > 0) throw failures[0];
}

function dueCount({ startMs, ratePerSecond, recordCount }: Schedule, nowMs: number): number {
  if (nowMs < startMs) return 0;
  return Math.min(recordCount, 1 + Math.floor(((nowMs - startMs) * ratePerSecond) / 1000));
}
