/**
 * Committed values that are not there. Lost is what lies below something that was read, so that no reader will still
 * come to it; unseen is whatever was acknowledged and no poll returned by the end of the history, which is why a run ends with a reading of
 * everything. Only for topics that keep their records: retention and compaction look like loss.
 */
import type { Evidence } from './evidence.ts';
import type { KeyLog, ValueFacts } from './version-order.ts';

/** How well and how soon acknowledged values were seen. */
export interface Visibility {
  readonly unseenCount: number;
  /** By key: the longest time from an acknowledgement to the first poll that returned the value, or to the end. */
  readonly lagMsMaxByKey: Readonly<Record<string, number>>;
}

/** Finds lost-write and unseen. */
export function findLoss(evidence: Evidence): Visibility {
  const { order, findings } = evidence;
  const readTo = highestRead(order.values.values());
  let unseenCount = 0;
  for (const { value, state, log, lastOffset, readMs, isRead } of order.values.values()) {
    // What a failed poll saw was committed too, acknowledged or not.
    const isCommitted = state === 'ok' || (state === 'info' && isRead);
    if (readMs !== undefined || !isCommitted) continue;
    const where = log === undefined ? 'at no known offset' : `at ${lastOffset} of ${log.key}`;
    if (state === 'ok') {
      unseenCount += 1;
      findings.add('unseen', `"${value}" was acknowledged ${where}, and nobody got it`);
    }
    const end = log === undefined ? undefined : readTo.get(log);
    if (end !== undefined && lastOffset <= end)
      findings.add('lost-write', `"${value}" was committed ${where}, and reading went on to ${end} without it`);
  }
  return { unseenCount, lagMsMaxByKey: worstLags(evidence) };
}

/** By log: the first position of the value that was read furthest on. A duplicate's later copy proves nothing. */
function highestRead(values: Iterable<ValueFacts>): Map<KeyLog, number> {
  const readTo = new Map<KeyLog, number>();
  for (const { readMs, log, firstOffset } of values) {
    if (readMs === undefined || log === undefined) continue;
    readTo.set(log, Math.max(firstOffset, readTo.get(log) ?? -1));
  }
  return readTo;
}

function worstLags({ history, order }: Evidence): Readonly<Record<string, number>> {
  const endMs = history.at(-1)?.tMonoMs ?? 0;
  const lagMsMax = new Map<string, number>();
  for (const { log, readMs, ackedMs } of order.values.values()) {
    if (ackedMs === undefined || log === undefined) continue;
    const lagMs = Math.max(0, (readMs ?? endMs) - ackedMs);
    lagMsMax.set(log.key, Math.max(lagMs, lagMsMax.get(log.key) ?? 0));
  }
  return Object.fromEntries(lagMsMax);
}
