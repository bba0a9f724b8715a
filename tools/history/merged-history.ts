/** One history from those of several processes, whose recorders had one clock. */
import type { HistoryEvent } from './history.ts';

/**
 * In the order of time, operations numbered anew. What happened in one moment counts as overlapping: invocations come first.
 * Processes have different numbers already.
 */
export function mergeHistories(histories: readonly (readonly HistoryEvent[])[]): HistoryEvent[] {
  let opCount = 0;
  const merged = histories.flatMap((history) => {
    const ops = new Map<number, number>();
    return history.map((event): HistoryEvent => {
      let op = ops.get(event.op);
      if (op === undefined) ops.set(event.op, (op = opCount++));
      return { ...event, op };
    });
  });
  return merged.sort((one, other) => one.tMonoMs - other.tMonoMs || rankOf(one) - rankOf(other));
}

function rankOf({ type }: HistoryEvent): number {
  return type === 'invoke' ? 0 : 1;
}
