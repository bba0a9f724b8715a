/**
 * For how long a partition was away: between two acknowledgements of its probe that lie further apart than the threshold. The
 * probe sends its next record when the last is acknowledged, through the SDK, which tries again by itself: it is the time in
 * which a client cannot get a record stored, detours and repeats included.
 */
import type { HistoryEvent } from '@partita/tool-history/history.ts';

/** Well above what a loaded machine needs for one record. */
export const AWAY_MS_MIN = 500;

export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

/** By partition key, the time away inside of the window, milliseconds. A gap that began before counts from the window on. */
export function awayMs(history: readonly HistoryEvent[], { fromMs, toMs }: Window): Map<string, number> {
  const last = new Map<string, number>();
  const away = new Map<string, number>();
  for (const event of history) {
    if (event.f !== 'send' || event.type !== 'ok' || event.session?.startsWith('probe-') !== true) continue;
    const { key = '', tMonoMs } = event;
    const before = last.get(key);
    last.set(key, tMonoMs);
    if (before === undefined || tMonoMs - before < AWAY_MS_MIN || tMonoMs < fromMs || before > toMs) continue;
    away.set(key, (away.get(key) ?? 0) + tMonoMs - Math.max(before, fromMs));
  }
  return away;
}
