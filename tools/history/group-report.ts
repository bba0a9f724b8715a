/** What a history tells of a group besides what is wrong: how much happened to it, and how long it stood still. */
import type { HistoryEvent } from './history.ts';
import { recordsOf } from './history.ts';

export interface GroupReport {
  /** Records given to members, each time it was. */
  readonly givenCount: number;
  /** Assignments of a partition to a member. */
  readonly assignedCount: number;
  /** Epochs at which partitions were assigned. */
  readonly rebalanceCount: number;
  /** Commits by their completion. */
  readonly commitOkCount: number;
  readonly commitRefusedCount: number;
  readonly commitUnknownCount: number;
  /** Longest time in which no record of some partition was given to anyone, milliseconds, between its first and its last. */
  readonly silenceMsMax: number;
}

export function reportGroup(history: readonly HistoryEvent[], group: string): GroupReport {
  const commits = { ok: 0, fail: 0, info: 0, invoke: 0 };
  const epochs = new Set<number>();
  let [givenCount, assignedCount, silenceMsMax] = [0, 0, 0];
  const lastMs = new Map<string, number>();
  for (const event of history) {
    if (!('group' in event) || event.group !== group) continue;
    if (event.f === 'commit') commits[event.type] += 1;
    else if (event.f === 'assigned') {
      for (const epoch of Object.values(event.epochs)) epochs.add(epoch);
      assignedCount += Object.keys(event.epochs).length;
    } else if (event.f === 'poll' && event.type === 'ok') {
      for (const [key, records] of recordsOf(event)) {
        givenCount += records.length;
        silenceMsMax = Math.max(silenceMsMax, event.tMonoMs - (lastMs.get(key) ?? event.tMonoMs));
        lastMs.set(key, event.tMonoMs);
      }
    }
  }
  return {
    givenCount,
    assignedCount,
    rebalanceCount: epochs.size,
    commitOkCount: commits.ok,
    commitRefusedCount: commits.fail,
    commitUnknownCount: commits.info,
    silenceMsMax,
  };
}
