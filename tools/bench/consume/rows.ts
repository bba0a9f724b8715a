/** The rows of the consume bench: the SDK's consumer in each form, beside raw gRPC with the same hops or beside itself. */
import type { ConsumeWork, Delivery } from './work.ts';

/** A load of ours, or of the raw chain. */
export type ConsumeSide =
  | { readonly name: string; readonly work: ConsumeWork; readonly isCold?: true }
  | { readonly name: string; readonly raw: 'pull' | 'pull-direct' };

export interface ThroughputRow {
  readonly kind: 'throughput';
  /** For --rows. */
  readonly name: string;
  readonly measured: ConsumeSide & { readonly work: ConsumeWork };
  readonly against: ConsumeSide;
}

export interface LatencyRow {
  readonly kind: 'latency';
  readonly name: string;
  readonly title: string;
  readonly work: ConsumeWork;
}

export type ConsumeRow = ThroughputRow | LatencyRow;

const KIB = 1024;
const SMALL = 100;
const DELIVERIES: readonly Delivery[] = ['records', 'batches', 'direct'];
const TITLES: Readonly<Record<Delivery, string>> = {
  records: 'simple: decoded by the service',
  batches: 'batches, decoded by the SDK',
  direct: 'direct, from the leaders',
};
const BASE: ConsumeWork = {
  delivery: 'batches',
  style: 'batch',
  recordBytes: KIB,
  partitionCount: 6,
  memberCount: 1,
  isOnce: false,
};

export const CONSUME_ROWS: readonly ConsumeRow[] = [
  ...[KIB, SMALL].flatMap((recordBytes) => DELIVERIES.map((delivery) => cached(delivery, recordBytes))),
  ...[KIB, SMALL].map((recordBytes): ThroughputRow => ({
    kind: 'throughput',
    name: `each-${recordBytes}`,
    measured: { name: `one by one, ${recordBytes} B`, work: { ...BASE, recordBytes, style: 'each' } },
    against: { name: 'by batches of up to 1,000', work: { ...BASE, recordBytes } },
  })),
  ...DELIVERIES.map((delivery): ThroughputRow => ({
    kind: 'throughput',
    name: `cold-${delivery}`,
    measured: { name: `${TITLES[delivery]}, cold`, work: { ...BASE, delivery, isOnce: true }, isCold: true },
    against: { name: 'the same, in the page cache', work: { ...BASE, delivery, isOnce: true } },
  })),
  ...[1, 24].map((partitionCount) => scaled('partitions', partitionCount, { partitionCount }, '6 partitions')),
  ...[2, 4].map((memberCount) => scaled('members', memberCount, { memberCount }, '1 member')),
  ...DELIVERIES.map((delivery): LatencyRow => ({
    kind: 'latency',
    name: `latency-${delivery}`,
    title: TITLES[delivery],
    work: { ...BASE, delivery, style: 'each' },
  })),
];

function cached(delivery: Delivery, recordBytes: number): ThroughputRow {
  return {
    kind: 'throughput',
    name: `${delivery}-${recordBytes}`,
    measured: { name: `${TITLES[delivery]}, ${recordBytes} B`, work: { ...BASE, delivery, recordBytes } },
    against: { name: 'raw gRPC, the same hops', raw: delivery === 'direct' ? 'pull-direct' : 'pull' },
  };
}

function scaled(of: string, count: number, changed: Partial<ConsumeWork>, against: string): ThroughputRow {
  return {
    kind: 'throughput',
    name: `${of}-${count}`,
    measured: { name: `batches, ${count} ${count === 1 ? of.slice(0, -1) : of}`, work: { ...BASE, ...changed } },
    against: { name: against, work: BASE },
  };
}
