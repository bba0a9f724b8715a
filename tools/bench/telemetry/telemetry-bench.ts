/** `npm run bench -- telemetry`: what traces and metrics cost, as CPU time of clients and services for each record. */
import { loadavg } from 'node:os';
import { SeededRandom } from '@partita/testkit';
import { progress, publish } from '../bench-run.ts';
import type { BenchRun } from '../bench-run.ts';
import { chooseRows } from '../choose-rows.ts';
import type { CleanUps } from '../clean-ups.ts';
import { thisMachine } from '../machine.ts';
import type { TelemetryOptions } from './options.ts';
import { telemetryHeader, telemetryTable } from './report.ts';
import type { TelemetryFacts, TelemetryReport } from './report.ts';
import { TELEMETRY_ROWS } from './rows.ts';
import type { TelemetryRow, TelemetrySide, TelemetryWork } from './rows.ts';
import { TelemetryCluster } from './servers.ts';
import { runPairs, sliceFigures } from './slices.ts';
import type { SlicePair } from './slices.ts';

/** Of what the cluster takes when it is given as much as goes. */
export const CAPACITY_SHARE = 0.4;
/** Decides which side of a pair comes first. */
const SEED = 20_010_203;
/** A side works before it is measured: its code is compiled and its heap grows then. */
const WARM_UP_SLICES = 1;
const CAPACITY_SECONDS_MAX = 3;

export async function benchTelemetry({ options, cleanUps }: BenchRun<TelemetryOptions>): Promise<void> {
  const named = Object.keys(process.env).filter((name) => name.startsWith('OTEL_'));
  if (named.length > 0) throw new Error(`the sides say what is traced and where to: unset ${named.join(', ')}`);
  const rows = chooseRows(TELEMETRY_ROWS, options.rows);
  const { seconds, slices, launches, brokers } = options;
  const facts: TelemetryFacts = {
    ...thisMachine(),
    seconds,
    slices,
    launches,
    brokers,
    loadAverage: loadavg()[0] ?? 0,
  };
  const reports: TelemetryReport[] = [];
  for (const row of rows) reports.push(await measureRow(row, options, cleanUps));
  publish(options, {
    header: telemetryHeader(facts),
    tables: telemetryTable(reports),
    figures: { facts, rows: reports.map(({ row, ...report }) => ({ name: row.name, ...report })) },
  });
}

async function measureRow(row: TelemetryRow, options: TelemetryOptions, cleanUps: CleanUps): Promise<TelemetryReport> {
  const random = new SeededRandom(SEED);
  const launches: SlicePair[][] = [];
  let ratePerSecond = options.rate;
  for (const pairCount of shares(options.slices / 2, options.launches)) {
    progress(`${row.name}, launch ${launches.length + 1}: starting ${row.measured.name}, and ${row.against.name}`);
    const [measured, against] = await Promise.all([
      start(row.measured, options, cleanUps),
      start(row.against, options, cleanUps),
    ]);
    ratePerSecond ??= await rateFor(row, options, against);
    const work = { load: row.load, ratePerSecond };
    const run = (cluster: TelemetryCluster) => () => cluster.run(options.seconds, work);
    for (let slice = 0; slice < WARM_UP_SLICES; slice += 1) {
      await run(measured)();
      await run(against)();
    }
    launches.push(await runPairs(pairCount, random, { measured: run(measured), against: run(against) }));
    await Promise.all([measured.stop(), against.stop()]);
  }
  return { row, ratePerSecond: ratePerSecond ?? 0, figures: sliceFigures(launches) };
}

async function start(
  side: TelemetrySide,
  { brokers }: TelemetryOptions,
  cleanUps: CleanUps,
): Promise<TelemetryCluster> {
  return TelemetryCluster.start(side, brokers, (cluster) =>
    cleanUps.add(async () => {
      await cluster.stop();
      cluster.removeHome();
    }),
  );
}

/** What the side without telemetry takes, with the load's consumer reading along; after a run that warms it up. */
async function rateFor(
  { load }: TelemetryRow,
  { seconds }: TelemetryOptions,
  cluster: TelemetryCluster,
): Promise<number> {
  const work: TelemetryWork = { load };
  const length = Math.min(seconds, CAPACITY_SECONDS_MAX);
  await cluster.run(length, work);
  const { recordCount, durationMs } = await cluster.run(length, work);
  return Math.max(1, Math.round((CAPACITY_SHARE * recordCount * 1000) / durationMs));
}

/** So many pairs over so many launches, as even as may be; none without a pair. */
export function shares(pairCount: number, launchCount: number): number[] {
  const counts = Array.from({ length: Math.min(pairCount, launchCount) }, () => 0);
  for (let pair = 0; pair < pairCount; pair += 1)
    counts[pair % counts.length] = (counts[pair % counts.length] ?? 0) + 1;
  return counts;
}
