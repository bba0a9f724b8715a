/** From what was counted in one run to what is told of it, and from runs to a side. */
import { median } from '../rounds.ts';

/** One run of one side. */
export interface MergeRun {
  readonly seconds: number;
  /** Acknowledged records of each client. */
  readonly counts: readonly number[];
  readonly errors: Readonly<Record<string, number>>;
  /** In the gateway's batches, while CPU time was taken. */
  readonly batchedRecordCount: number;
  readonly batchCount: number;
  readonly brokersCpuMs: number;
  readonly gatewayCpuMs: number;
  /** Resident memory of the gateway, bytes, at even distances. */
  readonly residentBytes: readonly number[];
}

export interface MergeFigures {
  readonly recordsPerSecond: number;
  readonly recordsPerBatch: number;
  /** Microseconds for each record. */
  readonly brokersCpuUs: number;
  readonly gatewayCpuUs: number;
  /** Records of the client that had the fewest, of the one that had the most; the worst run counts. */
  readonly fairness: { readonly slowest: number; readonly fastest: number };
  readonly residentBytesMax: number;
  /** Mean of the last third of a run by the mean of the first; the run that grew most counts. */
  readonly residentGrowth: number;
  readonly errors: Readonly<Record<string, number>>;
}

const US_PER_MS = 1000;

/** Medians of the runs, unless it is said otherwise. Throws an Error when there are none. */
export function sideFigures(runs: readonly MergeRun[]): MergeFigures {
  const errors: Record<string, number> = {};
  for (const run of runs)
    for (const [reason, count] of Object.entries(run.errors)) errors[reason] = (errors[reason] ?? 0) + count;
  const fairness = runs.map(({ counts }) => ({ slowest: least(counts), fastest: most(counts) }));
  const worst = fairness.toSorted((a, b) => fairnessOf(a) - fairnessOf(b))[0];
  if (worst === undefined) throw new Error('figures of no run');
  return {
    recordsPerSecond: median(runs.map(({ counts, seconds }) => sum(counts) / seconds)),
    recordsPerBatch: median(runs.map((run) => run.batchedRecordCount / run.batchCount)),
    brokersCpuUs: median(runs.map((run) => (run.brokersCpuMs * US_PER_MS) / run.batchedRecordCount)),
    gatewayCpuUs: median(runs.map((run) => (run.gatewayCpuMs * US_PER_MS) / run.batchedRecordCount)),
    fairness: worst,
    residentBytesMax: most(runs.flatMap(({ residentBytes }) => residentBytes)),
    residentGrowth: most(runs.map(({ residentBytes }) => growthOf(residentBytes))),
    errors,
  };
}

/** Slowest by fastest; 1 = all had the same. */
export function fairnessOf({ slowest, fastest }: MergeFigures['fairness']): number {
  return fastest === 0 ? 0 : slowest / fastest;
}

/** 1 = flat. Throws an Error for fewer than three values. */
export function growthOf(values: readonly number[]): number {
  const third = Math.floor(values.length / 3);
  if (third === 0) throw new Error('the growth of fewer than three values');
  return mean(values.slice(-third)) / mean(values.slice(0, third));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

function least(values: readonly number[]): number {
  return values.reduce((low, value) => Math.min(low, value), Infinity);
}

function most(values: readonly number[]): number {
  return values.reduce((high, value) => Math.max(high, value), -Infinity);
}
