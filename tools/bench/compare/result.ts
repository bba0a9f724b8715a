/** What a comparison measured, as plain data. */
import type { MeteredSample } from './rounds.ts';
import type { Flush, SystemName } from './system.ts';

/** Runs at a fixed rate, by round. */
export interface LatencyRuns {
  readonly ratePerSecond: number;
  readonly samples: readonly MeteredSample[];
}

export interface SystemResult {
  readonly name: SystemName;
  /** Runs of the closed loop, by round. */
  readonly throughput: readonly MeteredSample[];
  /** Absent for what has no latencies, and after a failure. */
  readonly latency?: LatencyRuns;
  /** Why rounds are missing; absent = none is. */
  readonly failure?: string;
}

export interface WorkloadResult {
  readonly flush: Flush;
  readonly recordBytes: number;
  readonly systems: readonly SystemResult[];
}

export function resultOf({ systems }: WorkloadResult, name: SystemName): SystemResult | undefined {
  return systems.find((system) => system.name === name);
}

/** What the flush mode is, for people: the same words for all systems. */
export const FLUSH_TITLES: Readonly<Record<Flush, string>> = {
  os: 'page cache',
  fsync: 'synced to disk',
};

export function workloadTitle({ flush, recordBytes }: Pick<WorkloadResult, 'flush' | 'recordBytes'>): string {
  return `${recordBytes} B, ${FLUSH_TITLES[flush]}`;
}
