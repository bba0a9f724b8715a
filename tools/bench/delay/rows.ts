/** The rows of the delay bench: a way to the leaders, and how much is in flight on it. */
import { BROKER_COUNT } from '../workload.ts';
import { BASE } from '../produce/settings.ts';
import type { ProduceSettings } from '../produce/settings.ts';

/** One way, of the measured side when nothing else is said; the other side has none. */
export const DELAY_MS_DEFAULT = 20;
/** Share of its throughput without delay that a producer shall have, once enough is in flight. */
export const GOAL = 0.8;

/** What is behind a proxy, and how records go. */
export interface DelayedPath {
  readonly title: string;
  readonly delivery: ProduceSettings['delivery'];
  /** Names of the processes that clients reach through proxies. */
  readonly behind: readonly string[];
}

const GATEWAY: DelayedPath = { title: 'through a gateway', delivery: 'batches', behind: ['gateway'] };
const DIRECT: DelayedPath = {
  title: 'to the leaders',
  delivery: 'direct',
  behind: Array.from({ length: BROKER_COUNT }, (_, index) => `broker-${index + 1}`),
};
const IN_FLIGHT_MIB = [1, 4, 16, 64];

export interface DelayRow {
  /** For --rows. */
  readonly name: string;
  readonly path: DelayedPath;
  /** Bytes of records that the producer has in flight. */
  readonly inFlightBytes: number;
}

export const DELAY_ROWS: readonly DelayRow[] = [
  ...rowsOf('gateway', GATEWAY), //
  ...rowsOf('direct', DIRECT),
];

export function settingsOf({ delivery }: DelayedPath): ProduceSettings {
  return { ...BASE, delivery };
}

function rowsOf(name: string, path: DelayedPath): DelayRow[] {
  return IN_FLIGHT_MIB.map((mib) => ({ name: `${name}-${mib}`, path, inFlightBytes: mib * 1024 * 1024 }));
}
