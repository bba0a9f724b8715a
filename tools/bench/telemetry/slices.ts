/**
 * Slices of one row: a pair is one on each side, next to each other because the machine's mood changes, in an order that a
 * fixed seed shuffles. The clusters of both sides run all the time; only one of them has work.
 */
import type { SeededRandom } from '@partita/testkit';
import { median } from '../rounds.ts';
import { medianInterval } from './median-interval.ts';
import type { MedianInterval } from './median-interval.ts';
import type { Slice } from './servers.ts';

export interface SlicePair {
  readonly measured: Slice;
  readonly against: Slice;
}

/** Milliseconds of CPU time for a thousand records. */
export interface Cost {
  readonly client: number;
  readonly services: number;
  readonly console: number;
}

export interface SliceFigures {
  readonly pairCount: number;
  readonly measured: Cost;
  readonly against: Cost;
  /** Of the CPU time for each record at both ends, clients and services: the median of the pairs. */
  readonly ratio: number;
  /** Undefined = too few pairs. */
  readonly interval: MedianInterval | undefined;
  /** Of the pairs of each start of the clusters. */
  readonly byLaunch: readonly number[];
}

export const CONFIDENCE = 0.95;

export async function runPairs(
  pairCount: number,
  random: SeededRandom,
  run: { readonly measured: () => Promise<Slice>; readonly against: () => Promise<Slice> },
): Promise<SlicePair[]> {
  const pairs: SlicePair[] = [];
  while (pairs.length < pairCount) {
    if (random.chance(0.5)) {
      const measured = await run.measured();
      pairs.push({ measured, against: await run.against() });
    } else {
      const against = await run.against();
      pairs.push({ measured: await run.measured(), against });
    }
  }
  return pairs;
}

/** Of the pairs of each launch. Throws an Error when there are none. */
export function sliceFigures(launches: readonly (readonly SlicePair[])[]): SliceFigures {
  const pairs = launches.flat();
  const ratios = pairs.map(ratioOf);
  return {
    pairCount: pairs.length,
    measured: costOf(pairs.map(({ measured }) => measured)),
    against: costOf(pairs.map(({ against }) => against)),
    ratio: median(ratios),
    interval: medianInterval(ratios, CONFIDENCE),
    byLaunch: launches.filter((launch) => launch.length > 0).map((launch) => median(launch.map(ratioOf))),
  };
}

function ratioOf({ measured, against }: SlicePair): number {
  return perRecord(measured) / perRecord(against);
}

function perRecord({ clientCpuMs, servicesCpuMs, recordCount }: Slice): number {
  return (clientCpuMs + servicesCpuMs) / recordCount;
}

function costOf(slices: readonly Slice[]): Cost {
  const per = (cpuMs: (slice: Slice) => number): number =>
    median(slices.map((slice) => (1000 * cpuMs(slice)) / slice.recordCount));
  return {
    client: per(({ clientCpuMs }) => clientCpuMs),
    services: per(({ servicesCpuMs }) => servicesCpuMs),
    console: per(({ consoleCpuMs }) => consoleCpuMs),
  };
}
