/**
 * Rounds over all systems: in each round every system has one run, and the next round begins with another system, so that
 * none always follows the same one. What is compared is compared within a round: the machine's mood changes over minutes.
 */
import { cpuTimeMs } from '../cpu-time.ts';
import { mergedPercentiles } from '../latencies.ts';
import type { Percentiles } from '../latencies.ts';
import { median } from '../rounds.ts';
import { bytesPerSecond, recordsPerSecond } from '../sample.ts';
import type { Sample } from '../sample.ts';
import { settle } from './settle.ts';
import type { Pids, System, Work } from './system.ts';

/** One run, with the CPU time that both ends spent meanwhile. */
export interface MeteredSample extends Sample {
  readonly clientCpuMs: number;
  readonly serversCpuMs: number;
}

/** The runs of one system, by round; a round is missing once it has failed. */
export interface Runs {
  readonly system: System;
  readonly samples: MeteredSample[];
  /** Why it was left out from some round on. */
  failure?: string;
}

/** Of the values of the rounds. */
export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

export interface Figures {
  readonly bytesPerSecond: Spread;
  readonly recordsPerSecond: number;
  readonly clientCpuMsPerMb: number;
  readonly serversCpuMsPerMb: number;
  /** Of the records of all rounds together; absent where none are taken. */
  readonly latencyMs?: Percentiles;
}

/** Runs `workOf` of each system once in each round. A system that fails is not run again; the others are. */
export async function runRotating(
  systems: readonly System[],
  rounds: number,
  workOf: (system: System) => Work,
  run: (system: System, work: Work) => Promise<MeteredSample> = runOnce,
): Promise<Runs[]> {
  const all: Runs[] = systems.map((system) => ({ system, samples: [] }));
  for (let round = 0; round < rounds; round += 1) {
    const first = round % Math.max(1, all.length);
    for (const runs of [...all.slice(first), ...all.slice(0, first)]) {
      if (runs.failure !== undefined) continue;
      try {
        runs.samples.push(await run(runs.system, workOf(runs.system)));
      } catch (error) {
        runs.failure = error instanceof Error ? error.message : String(error);
      }
    }
  }
  return all;
}

/** On a topic of its own, which is gone when the next begins. */
export async function runOnce(system: System, work: Work): Promise<MeteredSample> {
  const topic = await system.create();
  await settle();
  const before = spent(system.pids);
  const sample = await system.produce(topic, work);
  const after = spent(system.pids);
  await system.delete(topic);
  return {
    ...sample,
    clientCpuMs: after.client - before.client,
    serversCpuMs: after.servers - before.servers,
  };
}

/** Undefined when there was no run. */
export function figuresOf(samples: readonly MeteredSample[]): Figures | undefined {
  if (samples.length === 0) return undefined;
  const perMb = (pick: (sample: MeteredSample) => number): number =>
    median(samples.map((sample) => (pick(sample) * 1e6) / sample.bytes));
  const latencies = samples.flatMap((sample) => sample.latencies ?? []);
  return {
    bytesPerSecond: spread(samples.map(bytesPerSecond)),
    recordsPerSecond: median(samples.map(recordsPerSecond)),
    clientCpuMsPerMb: perMb((sample) => sample.clientCpuMs),
    serversCpuMsPerMb: perMb((sample) => sample.serversCpuMs),
    ...(latencies.length === 0 ? {} : { latencyMs: mergedPercentiles(latencies) }),
  };
}

/** The ratio of two systems within each round that both have; undefined when there is none. */
export function ratioOf(
  of: readonly MeteredSample[],
  to: readonly MeteredSample[],
  value: (sample: MeteredSample) => number,
): Spread | undefined {
  const ratios = of.flatMap((sample, round) => {
    const other = to[round];
    return other === undefined ? [] : [value(sample) / value(other)];
  });
  return ratios.length === 0 ? undefined : spread(ratios);
}

/** The 99th percentile of one run. Throws an Error where no latencies were taken. */
export function p99Ms({ latencies }: MeteredSample): number {
  if (latencies === undefined) throw new Error('a run without latencies has no percentile');
  return mergedPercentiles([latencies]).p99;
}

/** Throws an Error when there are no values. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) };
}

function spent({ client, servers }: Pids): { readonly client: number; readonly servers: number } {
  return { client: cpuTimeMs(client), servers: cpuTimeMs(servers) };
}
