/** The figures of the replication rows as Markdown. */
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { markdownTable, megabytes, ratioText } from '../markdown-table.ts';
import type { RowFigures } from '../rounds.ts';
import type { ReplicationRow } from './rows.ts';
import {
  BATCH_BYTES,
  BROKER_COUNT,
  CONNECTION_WINDOW_BYTES,
  FRAMES_IN_FLIGHT,
  PARTITION_COUNT,
  RECORD_BYTES,
  STREAM_WINDOW_BYTES,
} from '../workload.ts';

/** Where and how it ran. */
export interface ReplicationFacts extends Machine {
  readonly rounds: number;
  readonly seconds: number;
}

export interface ReplicationReport {
  readonly row: ReplicationRow;
  readonly figures: RowFigures;
  /** CPU time of the servers for each megabyte, milliseconds: medians of the rounds, of the measured side and the other. */
  readonly cpuMsPerMb: { readonly measured: number; readonly against: number };
}

/** The workload, for people: everything that one must know to compare two reports. */
export function replicationHeader(facts: ReplicationFacts): string {
  const kib = (bytes: number): string => `${bytes / 1024} KiB`;
  const mib = (bytes: number): string => `${bytes / 1024 / 1024} MiB`;
  return `# Partita replication bench

${machineLine(facts)}
  Load generator and all replicas share these ${facts.coreCount} cores, so absolute figures are low: the ratio is the result, and the CPU time.
- **Workload**: ready batches of ${kib(BATCH_BYTES)} with records of ${kib(RECORD_BYTES)} (random bytes, not compressed), appended to the leaders over one
  AppendStream each, no gateway; ${PARTITION_COUNT} partitions over ${BROKER_COUNT} brokers, ${FRAMES_IN_FLIGHT} batches in flight, acks=all. Topics of three replicas have
  min_in_sync_replicas 2: an acknowledgement waits for the leader and one follower, and every batch goes to both. New topics
  for each run, which begins when all replicas are in sync. All on loopback, plaintext.
- **Raw**: @grpc/grpc-js alone with the same hops: ${BROKER_COUNT} processes that each lead and each follow the others, by streams that the
  follower opens; the leader hands each message on to both, and answers when the first has it. The same messages and windows
  (${mib(STREAM_WINDOW_BYTES)} a stream, ${mib(CONNECTION_WINDOW_BYTES)} a connection). Bytes handed on: nothing is checked, stamped, decoded or stored.
  With disks: each also appends what it gets to a file, one synced write at a time for all that came during the one before, and
  a message is answered when it is on the leader's disk and on one follower's.
- **Method**: ${facts.rounds} rounds of ${facts.seconds} s for each row, both sides in turn after a warm-up of each; medians; the ratio is the median of the
  rounds' ratios (lowest to highest). CPU is the time that the brokers, or the raw replicas, together spent for each megabyte that
  was acknowledged: user and kernel, disk included; the load generator's is not in it.
`;
}

export function replicationTables(reports: readonly ReplicationReport[]): string {
  return markdownTable(
    ['row', 'against', 'MB/s', 'against MB/s', 'ratio', 'target', 'CPU ms/MB', 'against ms/MB'],
    reports.map(({ row, figures, cpuMsPerMb }) => [
      row.measured.name,
      row.against.name,
      megabytes(figures.ours),
      megabytes(figures.raw),
      ratioText(figures),
      row.target === undefined ? '' : row.target.toFixed(2),
      cpuMsPerMb.measured.toFixed(2),
      cpuMsPerMb.against.toFixed(2),
    ]),
  );
}
