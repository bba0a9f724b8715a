/** The goals of the comparison, and whether a run met them. */
import { bytesPerSecond } from '../sample.ts';
import { RECORD_BYTES } from '../workload.ts';
import { p99Ms, ratioOf } from './rounds.ts';
import type { Spread } from './rounds.ts';
import { resultOf } from './result.ts';
import type { WorkloadResult } from './result.ts';
import { TITLES } from './system.ts';
import type { SystemName } from './system.ts';

interface Goal {
  readonly text: string;
  /** Of these, each by itself. */
  readonly of: readonly SystemName[];
  /** Each of these by itself. */
  readonly to: readonly SystemName[];
  readonly figure: 'throughput' | 'p99';
  /** Of the median of the rounds: at least where more is better, below where less is. */
  readonly target: number;
}

const GOALS: readonly Goal[] = [
  { text: 'MB/s', of: ['direct', 'gateway'], to: ['kafka', 'kafka-eager'], figure: 'throughput', target: 1.2 },
  {
    text: "p99 at half of Kafka's load",
    of: ['direct', 'gateway'],
    to: ['kafka', 'kafka-eager'],
    figure: 'p99',
    target: 1,
  },
  { text: 'MB/s', of: ['direct', 'gateway'], to: ['nats'], figure: 'throughput', target: 5 },
  { text: 'MB/s', of: ['direct', 'ready'], to: ['raw'], figure: 'throughput', target: 0.7 },
];

export interface GoalResult {
  readonly text: string;
  readonly system: string;
  readonly target: string;
  readonly ratio: Spread;
  readonly isMet: boolean;
}

/** The goals that can be judged: those whose systems all ran. They are set for records of 1 KiB. */
export function judge(workload: WorkloadResult): GoalResult[] {
  if (workload.recordBytes !== RECORD_BYTES) return [];
  return GOALS.flatMap((goal) =>
    goal.of.flatMap((of) => goal.to.flatMap((to) => judgePair(workload, goal, of, to) ?? [])),
  );
}

function judgePair(
  workload: WorkloadResult,
  { text, figure, target }: Goal,
  of: SystemName,
  to: SystemName,
): GoalResult | undefined {
  const ratio = figure === 'p99' ? p99Ratio(workload, of, to) : throughputRatio(workload, of, to);
  if (ratio === undefined) return undefined;
  const isMet = figure === 'p99' ? ratio.median < target : ratio.median >= target;
  const sign = figure === 'p99' ? 'below' : 'at least';
  return { text: `${text}, to ${TITLES[to]}`, system: TITLES[of], target: `${sign} ${target}`, ratio, isMet };
}

/** In MB/s; undefined when one of them did not run. */
export function throughputRatio(workload: WorkloadResult, of: SystemName, to: SystemName): Spread | undefined {
  const measured = resultOf(workload, of)?.throughput ?? [];
  return ratioOf(measured, resultOf(workload, to)?.throughput ?? [], bytesPerSecond);
}

/** Undefined when one of them did not run, or not at the same rate. */
export function p99Ratio(workload: WorkloadResult, of: SystemName, to: SystemName): Spread | undefined {
  const measured = resultOf(workload, of)?.latency;
  const against = resultOf(workload, to)?.latency;
  if (measured === undefined || measured.ratePerSecond !== against?.ratePerSecond) return undefined;
  return ratioOf(measured.samples, against.samples, p99Ms);
}
