/** The produce bench as Markdown: what was run and on what, throughput and its cost, latencies, and what failed. */
import type { Percentiles } from '../latencies.ts';
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { count, markdownTable, megabytes, ratioText } from '../markdown-table.ts';
import type { RowFigures } from '../rounds.ts';
import { BATCH_BYTES, BROKER_COUNT } from '../workload.ts';
import { packedShare } from './packed-share.ts';
import { rowTitles } from './rows.ts';
import type { ProduceRow } from './rows.ts';
import { ROLES } from './servers.ts';
import type { CpuMs } from './servers.ts';
import { BASE, IN_FLIGHT_BYTES, SEND_BYTES } from './settings.ts';

/** Length of a latency run, in runs of throughput. */
export const LATENCY_SECONDS = 3;

export interface ProduceFacts extends Machine {
  readonly rounds: number;
  readonly seconds: number;
  /** Records a second of the latency runs; undefined = half of each row's throughput. */
  readonly rate: number | undefined;
  /** Processes that wanted a core before the bench began, over a minute. */
  readonly loadAverage: number;
}

export interface LatencyFigures {
  readonly ratePerSecond: number;
  readonly recordCount: number;
  /** Below the rate where the cluster did not keep up with it. */
  readonly ackedPerSecond: number;
  readonly latencyMs: Percentiles;
}

export interface ProduceReport {
  readonly row: ProduceRow;
  readonly figures: RowFigures;
  /** Of the measured side, medians of the rounds. */
  readonly cpuMsPerMb: CpuMs;
  readonly latency: LatencyFigures;
}

export interface FailedRow {
  readonly name: string;
  readonly why: string;
}

/** The workload, for people: everything that one must know to compare two reports. */
export function produceHeader(facts: ProduceFacts): string {
  const rate =
    facts.rate === undefined ? "half of the records/s that the row's rounds reached" : `${count(facts.rate)}/s`;
  return `# Partita produce bench

${machineLine(facts)}
  Client, gateway and brokers share these ${facts.coreCount} cores, so absolute figures are low: the ratio is the result, and the CPU time.
  Load average before the run: ${facts.loadAverage.toFixed(1)}. Machines that others share drift by a factor of two within minutes: only
  figures of one line are comparable, not those of two lines, nor those of two reports.
- **Workload**: the SDK's producer with its defaults and what the row names; without a name: session, ${BASE.recordBytes} B, ${BASE.partitionCount} partitions over
  ${BROKER_COUNT} brokers, acks=${BASE.acks}, flush=${BASE.flush}, replication ${BASE.replicationFactor} (min_in_sync_replicas a majority), codec ${BASE.codec}, linger ${BASE.lingerMs} ms. Records are
  orders as JSON with a key of 16 B each, their size that of the serialised record. Topics are new for each row. All on
  loopback, plaintext. MB are millions of bytes of records, before packing.
- **Forms**: simple = plain records, the gateway makes the batches; session = the SDK makes them and numbers them, and the gateway
  hands them on; direct = the SDK sends them to the leaders itself, one hop less.
- **Throughput**: closed loop, ${count(IN_FLIGHT_BYTES / 1024 / 1024)} MiB of records in flight, calls of \`send\` with up to ${SEND_BYTES / 1024} KiB of records each; from the first send to
  the last acknowledgement.
- **Raw**: @grpc/grpc-js alone, the same hops and processes: a relay in front of ${BROKER_COUNT} processes that each hand messages of ${BATCH_BYTES / 1024} KiB on to both
  others and answer when the first has them. Nothing is made, checked, decoded or stored.
- **Latency**: open loop at a fixed rate, ${rate}, for ${Number((LATENCY_SECONDS * facts.seconds).toFixed(2))} s: from the moment at which a record
  was due to the answer of its \`send\`, in an HDR histogram; a record held up is late, and nothing hides (no coordinated
  omission). What is due within a millisecond goes with one call, whose answer comes when its last record is acknowledged.
- **CPU**: milliseconds of user and kernel for each MB that was acknowledged in the rounds, of the process that sends, of the
  gateway, and of all brokers together.
- **Method**: ${facts.rounds} rounds of ${facts.seconds} s for each row, both sides in turn after a warm-up of each; medians; the ratio is the median of the
  rounds' ratios of MB/s (lowest to highest).
`;
}

export function produceTables(reports: readonly ProduceReport[], failed: readonly FailedRow[]): string {
  const parts = [
    ...(reports.length === 0 ? [] : [throughputTable(reports), latencyTable(reports), packedText(reports)]),
    failed.map(({ name, why }) => `Failed: ${name}, because ${why}.\n`).join(''),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function throughputTable(reports: readonly ProduceReport[]): string {
  return markdownTable(
    ['row', 'records/s', 'MB/s', 'against', 'against MB/s', 'ratio', ...ROLES.map((role) => `CPU ms/MB: ${role}`)],
    reports.map(({ row, figures, cpuMsPerMb }) => [
      rowTitles(row).measured,
      count(figures.ours.recordsPerSecond),
      megabytes(figures.ours),
      rowTitles(row).against,
      megabytes(figures.raw),
      ratioText(figures),
      ...ROLES.map((role) => cpuMsPerMb[role].toFixed(1)),
    ]),
  );
}

function latencyTable(reports: readonly ProduceReport[]): string {
  return markdownTable(
    ['due to acknowledged', 'due/s', 'acknowledged/s', 'records', 'p50 ms', 'p99 ms', 'p99.9 ms'],
    reports.map(({ row, latency: { ratePerSecond, ackedPerSecond, recordCount, latencyMs } }) => [
      rowTitles(row).measured,
      count(ratePerSecond),
      count(ackedPerSecond),
      count(recordCount),
      ...[latencyMs.p50, latencyMs.p99, latencyMs.p999].map((ms) => ms.toFixed(2)),
    ]),
  );
}

/** How well each codec packs, where there are any. */
function packedText(reports: readonly ProduceReport[]): string {
  const shares = reports
    .filter(({ row }) => row.measured.codec !== 'none')
    .map(({ row: { measured } }) => {
      const percent = (packedShare(measured) * 100).toFixed(0);
      return `${measured.codec} of ${measured.recordBytes} B to ${percent} %`;
    });
  if (shares.length === 0) return '';
  return `Full batches of ${BATCH_BYTES / 1024} KiB of these records pack so: ${shares.join(', ')}.\n`;
}
