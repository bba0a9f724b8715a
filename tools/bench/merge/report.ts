/** The merge bench as Markdown. */
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { count, markdownTable } from '../markdown-table.ts';
import { BROKER_COUNT, PARTITION_COUNT } from '../workload.ts';
import { fairnessOf } from './figures.ts';
import type { MergeFigures } from './figures.ts';

export interface MergeFacts extends Machine {
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly processes: number;
  /** Processes that wanted a core before the bench began, over a minute. */
  readonly loadAverage: number;
}

export interface MergeSides {
  readonly on: MergeFigures;
  readonly off: MergeFigures;
}

const MIB = 1024 * 1024;

export function mergeHeader(facts: MergeFacts): string {
  const { connections, seconds, rounds, processes, loadAverage } = facts;
  return `# Partita merge bench

${machineLine(facts)}
  Clients and services share these ${facts.coreCount} cores. Load average before the run: ${loadAverage.toFixed(1)}.
- **Workload**: ${count(connections)} clients in ${processes} ${processes === 1 ? 'process' : 'processes'}, each with a name and a connection of its own. A client calls \`Produce\` with one
  record of 100 B, with a key of its own for each, and again when it is answered. ${PARTITION_COUNT} partitions over ${BROKER_COUNT} brokers, replication 3,
  acks=all, flush=fsync, all on loopback.
- **Sides**: two gateways of one cluster, \`--merge on\` (the default: records of many clients share a batch) and \`--merge off\` (each
  request is a batch).
- **Method**: ${rounds} ${rounds === 1 ? 'pair' : 'pairs'} of runs of ${seconds} s, merging on, then off, after two seconds that do not count. CPU time is user and kernel, from
  /proc, of all brokers and of the gateway; records and batches are those of the gateway's metrics in the same time. Figures are
  medians of the runs; of fairness, memory and its growth the worst run is told.
`;
}

export function mergeTable({ on, off }: MergeSides): string {
  return markdownTable(
    ['', 'merging on', 'merging off', 'on / off', 'goal for on'],
    [
      row('records a second', on, off, (side) => side.recordsPerSecond, count),
      row('broker CPU for each record', on, off, (side) => side.brokersCpuUs, microseconds, 'at most 0.20'),
      row('gateway CPU for each record', on, off, (side) => side.gatewayCpuUs, microseconds),
      row(
        'records of a batch',
        on,
        off,
        (side) => side.recordsPerBatch,
        (value) => value.toFixed(1),
        'at least 20',
      ),
      row('slowest client by fastest', on, off, (side) => fairnessOf(side.fairness), ratio, 'at least 0.50'),
      row('gateway memory at most', on, off, (side) => side.residentBytesMax, mebibytes, 'below 1,024 MiB'),
      row('memory, last third by first', on, off, (side) => side.residentGrowth, ratio, 'flat'),
      ['errors', errorsText(on), errorsText(off), '', 'none'],
    ],
  );
}

function row(
  title: string,
  on: MergeFigures,
  off: MergeFigures,
  valueOf: (side: MergeFigures) => number,
  text: (value: number) => string,
  goal = '',
): string[] {
  return [title, text(valueOf(on)), text(valueOf(off)), ratio(valueOf(on) / valueOf(off)), goal];
}

function ratio(value: number): string {
  return value.toFixed(2);
}

function microseconds(value: number): string {
  return `${count(value)} µs`;
}

function mebibytes(value: number): string {
  return `${count(value / MIB)} MiB`;
}

function errorsText({ errors }: MergeFigures): string {
  const texts = Object.entries(errors).map(([reason, times]) => `${times} ${reason}`);
  return texts.length === 0 ? 'none' : texts.join(', ');
}
