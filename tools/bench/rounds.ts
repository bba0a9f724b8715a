/**
 * Interleaved rounds: ours, raw, ours, raw … The machine's mood changes over minutes, so the two sides of a pair are
 * measured next to each other, and the ratio is taken within a pair.
 */
import { bytesPerSecond, recordsPerSecond } from './sample.ts';
import type { Sample } from './sample.ts';
import { mergedPercentiles } from './latencies.ts';
import type { Percentiles } from './latencies.ts';

/** One round. */
export interface Pair {
  readonly ours: Sample;
  readonly raw: Sample;
}

/** Medians of one side over the rounds. */
export interface Side {
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Of the calls of all rounds; absent where none are taken. */
  readonly latencyMs?: Percentiles;
}

export interface RowFigures {
  readonly ours: Side;
  readonly raw: Side;
  /** Ours / raw in bytes per second: the median of the pairs' ratios, the lowest and the highest. */
  readonly ratio: { readonly median: number; readonly lowest: number; readonly highest: number };
}

/** Runs `count` pairs, after a run of each side that is thrown away. */
export async function runRounds(
  count: number,
  run: { readonly ours: (warmUp: boolean) => Promise<Sample>; readonly raw: (warmUp: boolean) => Promise<Sample> },
): Promise<Pair[]> {
  await run.ours(true);
  await run.raw(true);
  const pairs: Pair[] = [];
  for (let round = 0; round < count; round += 1) {
    pairs.push({ ours: await run.ours(false), raw: await run.raw(false) });
  }
  return pairs;
}

/** Throws an Error when there are no pairs. */
export function figuresOf(pairs: readonly Pair[]): RowFigures {
  const ratios = pairs.map(({ ours, raw }) => bytesPerSecond(ours) / bytesPerSecond(raw));
  return {
    ours: sideOf(pairs.map(({ ours }) => ours)),
    raw: sideOf(pairs.map(({ raw }) => raw)),
    ratio: { median: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios) },
  };
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1];
  const high = sorted[Math.floor(middle)];
  if (low === undefined || high === undefined) throw new Error('the median of nothing');
  return (low + high) / 2;
}

function sideOf(samples: readonly Sample[]): Side {
  const latencies = samples.flatMap((sample) => sample.latencies ?? []);
  return {
    recordsPerSecond: median(samples.map(recordsPerSecond)),
    bytesPerSecond: median(samples.map(bytesPerSecond)),
    ...(latencies.length === 0 ? {} : { latencyMs: mergedPercentiles(latencies) }),
  };
}
