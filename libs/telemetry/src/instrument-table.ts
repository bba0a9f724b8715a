/**
 * The one table of instruments: every metric of every service. docs/metrics.md is generated from it, and a test holds it
 * against the sources that use it.
 */
import type { InstrumentRow, LabelArguments } from './instrument.ts';
import { BROKER_INSTRUMENTS } from './instruments/broker-instruments.ts';
import { CONSOLE_INSTRUMENTS } from './instruments/console-instruments.ts';
import { COORDINATOR_INSTRUMENTS } from './instruments/coordinator-instruments.ts';
import { GATEWAY_INSTRUMENTS } from './instruments/gateway-instruments.ts';
import { GROUP_INSTRUMENTS } from './instruments/group-instruments.ts';
import { PROCESS_INSTRUMENTS } from './instruments/process-instruments.ts';

export const INSTRUMENTS = {
  ...PROCESS_INSTRUMENTS,
  ...BROKER_INSTRUMENTS,
  ...GATEWAY_INSTRUMENTS,
  ...COORDINATOR_INSTRUMENTS,
  ...GROUP_INSTRUMENTS,
  ...CONSOLE_INSTRUMENTS,
} as const;

type Table = typeof INSTRUMENTS;

export type InstrumentName = keyof Table;

type NameOfKind<Kind> = { [Name in InstrumentName]: Table[Name]['kind'] extends Kind ? Name : never }[InstrumentName];

export type CounterName = NameOfKind<'counter'>;
export type GaugeName = NameOfKind<'gauge'>;
export type HistogramName = NameOfKind<'histogram'>;

/** What `of`, and what is observed, takes to name a series of the instrument: `[]` or `[labels]`. */
export type LabelsOf<Name extends InstrumentName> = LabelArguments<Table[Name]>;

/** The rows by the service that has them, for the reference page. */
export const INSTRUMENTS_BY_SERVICE: readonly {
  readonly service: string;
  readonly rows: Readonly<Record<string, InstrumentRow>>;
}[] = [
  { service: 'every service', rows: PROCESS_INSTRUMENTS },
  { service: 'broker', rows: BROKER_INSTRUMENTS },
  { service: 'producer-gateway', rows: GATEWAY_INSTRUMENTS },
  { service: 'coordinator', rows: COORDINATOR_INSTRUMENTS },
  { service: 'consumer-group', rows: GROUP_INSTRUMENTS },
  { service: 'console', rows: CONSOLE_INSTRUMENTS },
];
