/** What a look at the cluster finds, and what it looks at. */
import type { BalancePlan, BalanceRoles, ClusterState, Reassignment } from '@partita/cluster';
import type { PartitionPublication } from '@partita/metadata-store';

export type Severity = 'error' | 'warning' | 'note';

/** One thing that is wrong, or will be after one more fault. */
export interface Found {
  readonly severity: Severity;
  /** Lower-case words with `-` between; never changes its meaning. */
  readonly code: string;
  /** `broker 3`, `topic/partition`. */
  readonly subject: string;
  readonly message: string;
  /** Names a command where one helps; empty = it mends itself. */
  readonly advice: string;
}

/** The cluster at one moment. */
export interface ClusterSight {
  readonly state: ClusterState;
  /** Who is being emptied. */
  readonly roles: BalanceRoles;
  readonly autoBalance: boolean;
  /** What would have to move for all to be even. */
  readonly plan: BalancePlan;
  /** Wall clock, milliseconds UTC. */
  readonly nowMs: number;
  /** `up`, `down`, `suspect` or `embedded`. */
  readonly storeState: string;
  /** What the metadata store says of partitions; undefined when it was not read. */
  readonly stored: readonly PartitionPublication[] | undefined;
  /** By how much each broker's wall clock is ahead of this one's, milliseconds. */
  readonly clockOffsetsMs: ReadonlyMap<number, number>;
  /** Open reassignments that have not come on, and for how long, milliseconds. */
  readonly stalled: readonly { readonly reassignment: Reassignment; readonly forMs: number }[];
}

/** Finds one kind of thing. Pure. */
export type Rule = (sight: ClusterSight) => readonly Found[];

/** `90 s`, `12 min`, `3 h`. */
export function forText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** `1 replica`, `3 replicas`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
