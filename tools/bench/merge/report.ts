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
      ...ROWS.map(({ title, valueOf, text, goal = '' }) => {
        const [ours, theirs] = [valueOf(on), valueOf(off)];
        return [title, text(ours), text(theirs), ratio(ours / theirs), goal];
      }),
      ['errors', errorsText(on), errorsText(off), '', 'none'],
    ],
  );
}

interface MergeRow {
  readonly title: string;
  readonly valueOf: (side: MergeFigures) => number;
  readonly text: (value: number) => string;
  readonly goal?: string;
}

const ROWS: readonly MergeRow[] = [
  { title: 'records a second', valueOf: (side) => side.recordsPerSecond, text: count },
  {
    title: 'broker CPU for each record',
    valueOf: (side) => side.brokersCpuUs,
    text: microseconds,
    goal: 'ratio at most 0.20',
  },
  { title: 'gateway CPU for each record', valueOf: (side) => side.gatewayCpuUs, text: microseconds },
  {
    title: 'records of a batch',
    valueOf: (side) => side.recordsPerBatch,
    text: (value) => value.toFixed(1),
    goal: 'at least 20',
  },
  {
    title: 'slowest client by fastest',
    valueOf: (side) => fairnessOf(side.fairness),
    text: ratio,
    goal: 'at least 0.50',
  },
  {
    title: 'gateway memory at most',
    valueOf: (side) => side.residentBytesMax,
    text: mebibytes,
    goal: 'below 1,024 MiB',
  },
  { title: 'memory, last third by first', valueOf: (side) => side.residentGrowth, text: ratio, goal: 'flat' },
];

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
