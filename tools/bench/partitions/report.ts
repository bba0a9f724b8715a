/** The partitions bench as Markdown: the same load on many partitions and on few. */
import { mergedPercentiles } from '../latencies.ts';
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { count, markdownTable } from '../markdown-table.ts';
import { median } from '../rounds.ts';
import type { Sample } from '../sample.ts';
import { recordsPerSecond } from '../sample.ts';
import { BROKER_COUNT, PARTITION_COUNT, RECORD_BYTES } from '../workload.ts';

export interface PartitionsFacts extends Machine {
  readonly rounds: number;
  readonly seconds: number;
  readonly ratePerSecond: number;
  /** Processes that wanted a core before the bench began, over a minute. */
  readonly loadAverage: number;
}

/** One run of one side. */
export interface PartitionsRun extends Sample {
  /** Writes of logs that were on the device when they returned, all brokers together, and how long they took in all. */
  readonly syncedWrites: number;
  readonly syncedWriteMs: number;
  /** CPU time, milliseconds. */
  readonly clientMs: number;
  readonly gatewayMs: number;
  readonly brokersMs: number;
}

/** Over the rounds: latencies of all records together, of all else the medians. */
export interface PartitionsSide {
  readonly partitionCount: number;
  readonly ackedPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  readonly syncedWritesPerSecond: number;
  readonly syncedWritesPerRecord: number;
  /** Mean length of one. */
  readonly syncedWriteMs: number;
  /** CPU milliseconds for each 1,000 records. */
  readonly cpuMs: { readonly client: number; readonly gateway: number; readonly brokers: number };
}

/** Throws an Error when there are no runs. */
export function sideOf(partitionCount: number, runs: readonly PartitionsRun[]): PartitionsSide {
  const of = (value: (run: PartitionsRun) => number): number => median(runs.map(value));
  return {
    partitionCount,
    ackedPerSecond: of(recordsPerSecond),
    latencyMs: mergedPercentiles(runs.map(({ latencies = '' }) => latencies)),
    syncedWritesPerSecond: of(({ syncedWrites, durationMs }) => (syncedWrites * 1000) / durationMs),
    syncedWritesPerRecord: of(({ syncedWrites, recordCount }) => syncedWrites / recordCount),
    syncedWriteMs: of(({ syncedWrites, syncedWriteMs }) => syncedWriteMs / Math.max(1, syncedWrites)),
    cpuMs: {
      client: of(({ clientMs, recordCount }) => (clientMs * 1000) / recordCount),
      gateway: of(({ gatewayMs, recordCount }) => (gatewayMs * 1000) / recordCount),
      brokers: of(({ brokersMs, recordCount }) => (brokersMs * 1000) / recordCount),
    },
  };
}

export function partitionsHeader(facts: PartitionsFacts): string {
  return `# Partita partitions bench

${machineLine(facts)}
  Client, gateway and brokers share these ${facts.coreCount} cores. Load average before the run: ${facts.loadAverage.toFixed(1)}.
- **Workload**: ${count(facts.ratePerSecond)} records of ${RECORD_BYTES} B a second, open loop, to all partitions of a topic in turn, each with a call of its own to
  the SDK's producer through a gateway; acks=all, flush=fsync, replication 3 over ${BROKER_COUNT} brokers. One topic of many partitions,
  one of ${PARTITION_COUNT}, in one cluster, with the same rate: what differs is over how many logs the records are spread.
- **Latency**: from the moment at which a record was due to its acknowledgement; a record held up is late, and nothing hides. The
  first record of each partition is not counted.
- **Synced writes**: writes to logs that are on the device when they return (\`O_DSYNC\`, one of them instead of a write and an
  \`fdatasync\`): \`partita_broker_log_write_duration_seconds{flush="fsync"}\` of all brokers, what groups and the cluster write included.
- **CPU**: milliseconds of user and kernel for each 1,000 records.
- **Method**: ${facts.rounds} rounds of ${facts.seconds} s, both topics in turn after a warm-up of each; percentiles of all records of the rounds together,
  else medians.
`;
}

export function partitionsTable(many: PartitionsSide, few: PartitionsSide): string {
  const row = (side: PartitionsSide): string[] => [
    count(side.partitionCount),
    count(side.ackedPerSecond),
    ...[side.latencyMs.p50, side.latencyMs.p99, side.latencyMs.p999].map((ms) => ms.toFixed(2)),
    count(side.syncedWritesPerSecond),
    side.syncedWritesPerRecord.toFixed(2),
    side.syncedWriteMs.toFixed(2),
    ...[side.cpuMs.client, side.cpuMs.gateway, side.cpuMs.brokers].map((ms) => ms.toFixed(0)),
  ];
  const ratio = (of: (side: PartitionsSide) => number): string => `**${(of(many) / of(few)).toFixed(2)}**`;
  return markdownTable(
    [
      'partitions',
      'acknowledged/s',
      'p50 ms',
      'p99 ms',
      'p99.9 ms',
      'synced writes/s',
      'a record',
      'ms each',
      'CPU: client',
      'gateway',
      'brokers',
    ],
    [
      row(many),
      row(few),
      [
        'many / few',
        ratio((side) => side.ackedPerSecond),
        ratio((side) => side.latencyMs.p50),
        ratio((side) => side.latencyMs.p99),
        ratio((side) => side.latencyMs.p999),
        ratio((side) => side.syncedWritesPerSecond),
        ratio((side) => side.syncedWritesPerRecord),
        ratio((side) => side.syncedWriteMs),
        ratio((side) => side.cpuMs.client),
        ratio((side) => side.cpuMs.gateway),
        ratio((side) => side.cpuMs.brokers),
      ],
    ],
  );
}

/** What the brokers spend although nobody sends anything. */
export function idleText(brokersMsPerSecond: number): string {
  const ms = brokersMsPerSecond.toFixed(0);
  return `Before the rounds, with both topics there and nothing sent, the brokers together spent ${ms} ms of CPU a second.\n`;
}
