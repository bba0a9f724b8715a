/** What a change of a group's members cost: how long each partition's records stood still. */
import { longestGapMs } from './checks.ts';
import type { Arrival } from './checks.ts';

/** A change of members. Times as in Arrival. */
export interface GroupChange {
  /** Partitions by member. */
  readonly before: ReadonlyMap<string, readonly number[]>;
  readonly after: ReadonlyMap<string, readonly number[]>;
  readonly fromMs: number;
  readonly settledMs: number;
  /** Until when arrivals are looked at. */
  readonly toMs: number;
}

/** The longest time without a record of each partition, milliseconds. */
export interface Pauses {
  readonly moved: readonly number[];
  readonly others: readonly number[];
}

export function pausesOf(change: GroupChange, arrivals: readonly Arrival[]): Pauses {
  const moved = new Set(movedPartitions(change));
  const pauses = { moved: [] as number[], others: [] as number[] };
  for (const partition of [...change.before.values()].flat()) {
    const times = arrivals.filter((arrival) => arrival.partition === partition).map(({ atMs }) => atMs);
    // The last one before counts: the pause begins with it.
    const first = times.findLast((atMs) => atMs < change.fromMs);
    const within = times.filter((atMs) => atMs >= change.fromMs && atMs <= change.toMs);
    const gapMs = longestGapMs(first === undefined ? within : [first, ...within]);
    pauses[moved.has(partition) ? 'moved' : 'others'].push(gapMs);
  }
  return pauses;
}

/** Partitions that another member has now. */
export function movedPartitions({ before, after }: Pick<GroupChange, 'before' | 'after'>): number[] {
  return [...before].flatMap(([member, partitions]) =>
    partitions.filter((partition) => after.get(member)?.includes(partition) !== true),
  );
}
