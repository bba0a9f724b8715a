/** The telemetry bench as Markdown. */
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { count, markdownTable } from '../markdown-table.ts';
import { PARTITION_COUNT } from '../workload.ts';
import { LOAD_TITLES } from './rows.ts';
import type { TelemetryRow } from './rows.ts';
import type { SliceFigures } from './slices.ts';

export interface TelemetryFacts extends Machine {
  readonly seconds: number;
  readonly slices: number;
  readonly launches: number;
  readonly brokers: number;
  /** Processes that wanted a core before the bench began, over a minute. */
  readonly loadAverage: number;
}

export interface TelemetryReport {
  readonly row: TelemetryRow;
  readonly ratePerSecond: number;
  readonly figures: SliceFigures;
}

/** The workload, for people: everything that one must know to compare two reports. */
export function telemetryHeader(facts: TelemetryFacts): string {
  const { slices, seconds, launches, brokers } = facts;
  return `# Partita telemetry bench

${machineLine(facts)}
  Clients and services share these ${facts.coreCount} cores. Load average before the run: ${facts.loadAverage.toFixed(1)}.
- **What is told**: CPU time for each record at both ends, the process of the clients and those of all services together, user and
  kernel, from /proc. The ratio is that with telemetry to that without, on two clusters of their own that run side by side.
- **Workload**: open loop, both sides at the same fixed rate, 40 % of what the side without telemetry takes: so both make batches
  of the same size. In a closed loop the slower side would make larger ones, which cost less for each record. Records of 1 KiB,
  ${PARTITION_COUNT} partitions over ${brokers} ${brokers === 1 ? 'broker' : 'brokers'}, replication ${Math.min(3, brokers)}, acks=all, flush=fsync, a gateway, a consumer-group service and a coordinator, all on
  loopback. Batches: the SDK's session producer, one \`send\` for each record, and a group of one member that handles every record.
  Unary: \`Produce\` calls with one record, nobody reads.
- **1 % traced**: OTEL_TRACES_SAMPLER=parentbased_traceidratio with 0.01, for clients and services; spans go to a console over OTLP,
  twice a second, whose own CPU time is told apart. **Asked for**: services as \`npm start\` runs them, clients do not trace.
  **Metrics**: every service is scraped each second.
- **Method**: ${slices} slices of ${seconds} s for each row, in ${slices / 2} pairs of one on each side, in an order shuffled by a fixed seed; ${launches} ${launches === 1 ? 'start' : 'starts'} of both
  clusters, a slice of each thrown away after it. The ratio is the median of the pairs' ratios, its interval that of the sign test
  (order statistics; at least 95 %), which takes the pairs as independent: the medians of the starts, in brackets, show how far
  two starts of the same thing differ.
`;
}

export function telemetryTable(reports: readonly TelemetryReport[]): string {
  return markdownTable(
    [
      'row',
      'with',
      'records/s',
      'ratio',
      '95 % interval',
      'target',
      'ms per 1,000: clients',
      'services',
      'console',
      'without: clients',
      'services',
    ],
    reports.map(({ row, ratePerSecond, figures }) => [
      LOAD_TITLES[row.load],
      row.measured.name,
      count(ratePerSecond),
      ratioCell(figures),
      intervalCell(figures),
      row.target === undefined ? '' : `at most ${row.target.toFixed(2)}`,
      figures.measured.client.toFixed(2),
      figures.measured.services.toFixed(2),
      figures.measured.console.toFixed(2),
      figures.against.client.toFixed(2),
      figures.against.services.toFixed(2),
    ]),
  );
}

function ratioCell({ ratio, byLaunch }: SliceFigures): string {
  return `**${ratio.toFixed(3)}** (${byLaunch.map((value) => value.toFixed(3)).join(', ')})`;
}

function intervalCell({ interval, pairCount }: SliceFigures): string {
  if (interval === undefined) return `none of ${pairCount} pairs`;
  return `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`;
}
