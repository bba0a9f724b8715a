/** `npm run bench -- report`: Partita beside Kafka, NATS JetStream and raw gRPC in one run, as Markdown and a chart. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { progress, publish } from '../bench-run.ts';
import type { BenchRun } from '../bench-run.ts';
import type { CleanUps } from '../clean-ups.ts';
import { thisMachine } from '../machine.ts';
import { fileSystemOf } from '../storage/file-system.ts';
import { compareHeader } from './header.ts';
import type { CompareFacts } from './header.ts';
import type { CompareOptions } from './options.ts';
import { canDo, startPartita } from './partita-systems.ts';
import { PEER_SYSTEMS } from './peer-systems.ts';
import type { PeerName } from './peer-systems.ts';
import { latencyRate } from './rate.ts';
import { compareChart, compareTables } from './report.ts';
import type { SystemResult, WorkloadResult } from './result.ts';
import { figuresOf, runOnce, runRotating } from './rounds.ts';
import type { Runs } from './rounds.ts';
import type { Flush, System } from './system.ts';

/** Long enough for the compiler of the JVM; thrown away. */
const WARM_UP_SECONDS_MAX = 10;

export async function benchCompare({ options, cleanUps }: BenchRun<CompareOptions>): Promise<void> {
  const { seconds, rounds } = options;
  const { present, facts: peers } = choosePeers(options.peers);
  const fileSystem = fileSystemOf(tmpdir(), readFileSync('/proc/mounts', 'utf8'));
  const facts: CompareFacts = {
    ...{ ...thisMachine(), seconds, rounds, peers, fileSystem },
    loadAverage: loadavg()[0] ?? 0,
  };
  const systems = await startAll(cleanUps, present);
  const results: WorkloadResult[] = [];
  for (const recordBytes of options.recordBytes) {
    for (const flush of options.flush) {
      const workload = { flush, recordBytes };
      results.push({ ...workload, systems: await measure(options, systems, workload) });
      if (cleanUps.isLeaving) throw new Error('stopped');
    }
  }
  const chart = options.report?.replace(/(\.md)?$/, '.svg');
  if (chart !== undefined) writeFileSync(chart, compareChart(results));
  publish(options, {
    header: compareHeader(facts, chart),
    tables: compareTables(results),
    figures: { facts, results },
  });
  const failed = results.flatMap(({ systems: all }) => all.filter(({ failure }) => failure !== undefined));
  if (failed.length > 0) throw new Error(`failed: ${[...new Set(failed.map(({ name }) => name))].join(', ')}`);
}

/** Those that can run here, and of each that was asked for what it is or why it cannot. */
function choosePeers(names: readonly PeerName[]): {
  readonly present: readonly PeerName[];
  readonly facts: CompareFacts['peers'];
} {
  const facts = names.map((name) => ({ name, missing: PEER_SYSTEMS[name].whyNot() }));
  for (const { name, missing } of facts) if (missing !== undefined) progress(`${name} is left out: ${missing}`);
  return {
    present: facts.flatMap(({ name, missing }) => (missing === undefined ? [name] : [])),
    facts: facts.map(({ name, missing }) =>
      missing === undefined ? { name, version: PEER_SYSTEMS[name].version() } : { name, missing },
    ),
  };
}

/** All of them, so that what does not run costs every system the same. */
async function startAll(cleanUps: CleanUps, peers: readonly PeerName[]): Promise<System[]> {
  progress('starting Partita');
  const systems = await startPartita(cleanUps);
  const folder = mkdtempSync(join(tmpdir(), 'partita-bench-peers-'));
  cleanUps.add(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of peers) {
    progress(`starting ${name}`);
    systems.push(...(await PEER_SYSTEMS[name].start(cleanUps, folder)));
  }
  return systems;
}

async function measure(
  { seconds, rounds }: CompareOptions,
  all: readonly System[],
  { flush, recordBytes }: { readonly flush: Flush; readonly recordBytes: number },
): Promise<SystemResult[]> {
  const run: typeof runOnce = (system, work) => {
    const rate = work.ratePerSecond === undefined ? '' : `, ${work.ratePerSecond}/s`;
    progress(`${system.name}: ${recordBytes} B, flush=${flush}${rate}, ${work.seconds} s`);
    return runOnce(system, work);
  };
  const systems = all.filter((system) => system.flush === flush && canDo(system, { recordBytes }));
  const warmUp = { seconds: Math.min(WARM_UP_SECONDS_MAX, seconds), recordBytes };
  const warm = await runRotating(systems, 1, () => warmUp, run);
  const ready = warm.filter(({ failure }) => failure === undefined).map(({ system }) => system);
  const throughput = await runRotating(ready, rounds, () => ({ seconds, recordBytes }), run);
  const rates = ratesOf(throughput);
  const timed = ready.filter((system) => rates.has(system) && canDo(system, { recordBytes, ratePerSecond: 1 }));
  const workAt = (system: System) => ({ seconds, recordBytes, ratePerSecond: rates.get(system) ?? 1 });
  const latency = await runRotating(timed, rounds, workAt, run);
  return warm.map(({ system, failure }) => {
    const closed = throughput.find((runs) => runs.system === system);
    const open = latency.find((runs) => runs.system === system);
    const why = failure ?? closed?.failure ?? open?.failure;
    return {
      name: system.name,
      throughput: closed?.samples ?? [],
      ...(open === undefined
        ? {}
        : { latency: { ratePerSecond: workAt(system).ratePerSecond, samples: open.samples } }),
      ...(why === undefined ? {} : { failure: why }),
    };
  });
}

/** By what Kafka reached, or where it does not run, by what Partita reached directly. Without what failed. */
function ratesOf(throughput: readonly Runs[]): ReadonlyMap<System, number> {
  const reached = new Map(
    throughput.flatMap(({ system, samples, failure }) => {
      const figures = figuresOf(samples);
      return figures === undefined || failure !== undefined ? [] : [[system, figures.recordsPerSecond] as const];
    }),
  );
  const best = (...names: System['name'][]): number =>
    Math.max(0, ...[...reached].flatMap(([{ name }, perSecond]) => (names.includes(name) ? [perSecond] : [])));
  const reference = best('kafka', 'kafka-eager') || best('direct');
  return new Map([...reached].map(([system, own]) => [system, latencyRate(own, reference)]));
}
