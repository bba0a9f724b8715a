/** The figures as Markdown: what was run and on what, one table of throughput, one of latencies. */
import { machineLine } from './machine.ts';
import type { Machine } from './machine.ts';
import { count, markdownTable, megabytes, ratioText } from './markdown-table.ts';
import type { Row } from './rows.ts';
import type { RowFigures } from './rounds.ts';
import {
  BATCH_BYTES,
  BROKER_COUNT,
  CALLER_COUNT,
  CONNECTION_WINDOW_BYTES,
  FRAMES_IN_FLIGHT,
  PARTITION_COUNT,
  READ_TOPIC_BYTES,
  RECORD_BYTES,
  STREAM_WINDOW_BYTES,
} from './workload.ts';

/** Where and how it ran. */
export interface RunFacts extends Machine {
  readonly rounds: number;
  readonly seconds: number;
  /** Address of a cluster that ran before; undefined = the bench's own. */
  readonly server: string | undefined;
}

export interface RowReport {
  readonly row: Row;
  readonly figures: RowFigures;
}

/** The workload, for people: everything that one must know to compare two reports. */
export function headerOf(facts: RunFacts): string {
  const kib = (bytes: number): string => `${bytes / 1024} KiB`;
  const mib = (bytes: number): string => kib(bytes / 1024).replace('KiB', 'MiB');
  const cluster =
    facts.server === undefined
      ? `${BROKER_COUNT} brokers, one gateway, one consumer-group service, one coordinator`
      : `the one at ${facts.server}`;
  return `# Partita bench

${machineLine(facts)}
  Load generator, services and peers share these ${facts.coreCount} cores, so absolute figures are low: the ratio is the result.
- **Workload**: records of ${kib(RECORD_BYTES)} (random bytes, not compressed), batches and frames of ${kib(BATCH_BYTES)}, ${FRAMES_IN_FLIGHT} frames in flight, ${PARTITION_COUNT} partitions,
  replication factor 1, flush=fsync (every acknowledged record is on disk), acks=all; unary rows: ${CALLER_COUNT} concurrent callers.
  Rows that read find ${mib(READ_TOPIC_BYTES)} in the topic, in the page cache.
- **Cluster**: ${cluster}; all on loopback, plaintext.
- **Raw**: @grpc/grpc-js alone, the same hops and processes (${BROKER_COUNT} sinks, one relay), messages and windows (${mib(STREAM_WINDOW_BYTES)} a
  stream, ${mib(CONNECTION_WINDOW_BYTES)} a connection): bytes handed on, nothing decoded, routed or stored.
- **Method**: ${facts.rounds} rounds of ${facts.seconds} s for each row, ours and raw in turn after a warm-up of each; medians; the ratio is the median of the
  rounds' ratios (lowest to highest). Load generators are processes of their own that speak the wire protocol.
`;
}

export function tablesOf(reports: readonly RowReport[]): string {
  const throughput = markdownTable(
    ['row', 'hops', 'ours MB/s', 'ours records/s', 'raw MB/s', 'ours / raw'],
    reports.map(({ row, figures }) => [
      row.title,
      row.hops,
      megabytes(figures.ours),
      count(figures.ours.recordsPerSecond),
      megabytes(figures.raw),
      ratioText(figures),
    ]),
  );
  const sides = reports.flatMap(({ row, figures }) => [
    { name: `${row.title}: ours`, side: figures.ours },
    { name: `${row.title}: raw`, side: figures.raw },
  ]);
  const latencies = sides.flatMap(({ name, side: { latencyMs, recordsPerSecond } }) =>
    latencyMs === undefined
      ? []
      : [[name, count(recordsPerSecond), ...[latencyMs.p50, latencyMs.p99, latencyMs.p999].map((ms) => ms.toFixed(2))]],
  );
  if (latencies.length === 0) return throughput;
  return `${throughput}\n${markdownTable(['latency', 'calls/s', 'p50 ms', 'p99 ms', 'p99.9 ms'], latencies)}`;
}
