/** The consume bench as Markdown: what was run and on what, throughput, latencies, and what was left out. */
import type { Percentiles } from '../latencies.ts';
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { count, markdownTable, megabytes, ratioText } from '../markdown-table.ts';
import type { RowFigures } from '../rounds.ts';
import { BATCH_BYTES, BROKER_COUNT, READ_TOPIC_BYTES } from '../workload.ts';
import type { LatencyRow, ThroughputRow } from './rows.ts';
import { LATENCY_RATE } from './work.ts';

export interface ConsumeFacts extends Machine {
  readonly rounds: number;
  readonly seconds: number;
}

export interface ThroughputReport {
  readonly row: ThroughputRow;
  readonly figures: RowFigures;
}

export interface LatencyReport {
  readonly row: LatencyRow;
  readonly recordCount: number;
  readonly latencyMs: Percentiles;
}

export interface SkippedRow {
  readonly name: string;
  readonly why: string;
}

/** The workload, for people: everything that one must know to compare two reports. */
export function consumeHeader(facts: ConsumeFacts): string {
  return `# Partita consume bench

${machineLine(facts)}
  Consumers, services and brokers share these ${facts.coreCount} cores, so absolute figures are low: the ratio is the result.
- **Workload**: the SDK's consumer with its defaults (8 MiB ahead, commits every 200 ms), records of 1 KiB and 100 B (random bytes,
  not compressed) in batches of ${BATCH_BYTES / 1024} KiB, ${READ_TOPIC_BYTES / 1024 / 1024} MiB in a topic of 6 partitions over ${BROKER_COUNT} brokers, replication factor 1,
  read from its start again and again. Handlers do nothing; they get up to 1,000 records of a partition at once unless the row
  says one by one. Members of a group are one process with a connection each. All on loopback, plaintext.
- **Forms**: simple = the service decodes and sends records; batches = it hands on what is stored, and the SDK checks, unpacks and
  decodes; direct = the SDK does so with what it reads from the leaders itself, one hop less.
- **Raw**: @grpc/grpc-js alone, the same hops and processes, messages of ${BATCH_BYTES / 1024} KiB: bytes handed on, nothing decoded.
- **Cold**: the brokers' files are dropped from the page cache before each run, which reads the topic once, as does the run beside it.
- **Latency**: ${count(LATENCY_RATE)} records of 1 KiB a second, acks=all, fsync, from the moment at which a record was due to be sent to its
  handler; open loop, so that a record held up is late. Sender and consumer are one process.
- **Method**: ${facts.rounds} rounds of ${facts.seconds} s for each row (latency: ${2 * facts.seconds} s), both sides in turn after a warm-up of each; medians; the
  ratio is the median of the rounds' ratios (lowest to highest).
`;
}

export function consumeTables(reports: {
  readonly throughput: readonly ThroughputReport[];
  readonly latency: readonly LatencyReport[];
  readonly skipped: readonly SkippedRow[];
}): string {
  const throughput = markdownTable(
    ['row', 'against', 'MB/s', 'records/s', 'against MB/s', 'ratio'],
    reports.throughput.map(({ row, figures }) => [
      row.measured.name,
      row.against.name,
      megabytes(figures.ours),
      count(figures.ours.recordsPerSecond),
      megabytes(figures.raw),
      ratioText(figures),
    ]),
  );
  const latency = markdownTable(
    ['end to end', 'records', 'p50 ms', 'p99 ms', 'p99.9 ms'],
    reports.latency.map(({ row, recordCount, latencyMs: { p50, p99, p999 } }) => [
      row.title,
      count(recordCount),
      ...[p50, p99, p999].map((ms) => ms.toFixed(2)),
    ]),
  );
  const skipped = reports.skipped.map(({ name, why }) => `Skipped: ${name}, because ${why}.\n`);
  const tables = [reports.throughput.length > 0 ? throughput : '', reports.latency.length > 0 ? latency : ''];
  return [...tables, skipped.join('')].filter((part) => part !== '').join('\n');
}
