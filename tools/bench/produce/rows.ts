/** The rows of the produce bench: the SDK's producer, each row beside one that differs in one thing. */
import { BASE, CODECS, settingsTitle } from './settings.ts';
import type { ProduceSettings } from './settings.ts';

/** Raw gRPC with the same hops, in the place of settings. */
export const RAW = 'raw';

export interface ProduceRow {
  /** For --rows. */
  readonly name: string;
  readonly measured: ProduceSettings;
  readonly against: ProduceSettings | typeof RAW;
}

const SMALL = 100;
const LARGE = 10 * 1024;

export const PRODUCE_ROWS: readonly ProduceRow[] = [
  { name: 'batches-1024', measured: BASE, against: RAW },
  row('batches-100', { recordBytes: SMALL }),
  row('batches-10240', { recordBytes: LARGE }),
  row('direct-1024', { delivery: 'direct' }),
  row('direct-100', { delivery: 'direct' }, { recordBytes: SMALL }),
  row('direct-10240', { delivery: 'direct' }, { recordBytes: LARGE }),
  row('partitions-1', { partitionCount: 1 }),
  row('partitions-64', { partitionCount: 64 }),
  row('acks-leader', { acks: 'leader' }),
  row('flush-os', { flush: 'os' }),
  row('replication-1', { replicationFactor: 1 }),
  ...CODECS.filter((codec) => codec !== BASE.codec).map((codec) => row(`codec-${codec}`, { codec })),
  // Last: they leave a gateway with a large heap, which costs it CPU time in rows behind them.
  row('records-1024', { delivery: 'records' }),
  row('records-100', { delivery: 'records' }, { recordBytes: SMALL }),
];

/** The change beside what both sides share. */
function row(name: string, changed: Partial<ProduceSettings>, shared: Partial<ProduceSettings> = {}): ProduceRow {
  const against = { ...BASE, ...shared };
  return { name, measured: { ...against, ...changed }, against };
}

/** The row and what it is measured against, for people. */
export function rowTitles({ measured, against }: ProduceRow): { readonly measured: string; readonly against: string } {
  return {
    measured: settingsTitle(measured, BASE),
    against: against === RAW ? 'raw gRPC, the same hops' : settingsTitle(against, BASE),
  };
}
