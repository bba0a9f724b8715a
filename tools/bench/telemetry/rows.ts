/** The rows of the telemetry bench: one load, on a cluster and clients that trace or measure, and beside it on others that do not. */

/** What services and clients do beside their work. */
export const SIDES = {
  off: { name: 'neither traces nor metrics', traces: false, metrics: false, env: {} },
  follow: {
    name: 'traces that are asked for, and nobody asks',
    traces: true,
    metrics: false,
    env: { OTEL_TRACES_SAMPLER: 'parentbased_always_off' },
  },
  sampled: {
    name: '1 % traced',
    traces: true,
    metrics: false,
    env: { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.01' },
  },
  metrics: { name: 'all metrics, scraped each second', traces: false, metrics: true, env: {} },
} as const satisfies Readonly<Record<string, TelemetrySide>>;

export interface TelemetrySide {
  readonly name: string;
  /** A console beside the cluster, and services that send it spans. */
  readonly traces: boolean;
  /** Endpoints that are scraped. */
  readonly metrics: boolean;
  /** Variables of services and clients. */
  readonly env: Readonly<Record<string, string>>;
}

/** `batches`: the SDK's session producer and a group that reads along. `unary`: Produce calls with one record each. */
export type TelemetryLoad = 'batches' | 'unary';

export const LOAD_TITLES: Readonly<Record<TelemetryLoad, string>> = {
  batches: 'batches, read along by a group',
  unary: 'unary calls of one record',
};

/** What a load's process does; goes with its job. */
export interface TelemetryWork {
  readonly load: TelemetryLoad;
  /** Records that are due in a second; absent = as many as go. */
  readonly ratePerSecond?: number;
}

export interface TelemetryRow {
  /** For --rows. */
  readonly name: string;
  readonly load: TelemetryLoad;
  readonly measured: TelemetrySide;
  readonly against: TelemetrySide;
  /** What the ratio should be at most. */
  readonly target?: number;
}

const TARGET = 1.05;

export const TELEMETRY_ROWS: readonly TelemetryRow[] = [
  { name: 'batches-sampled', load: 'batches', measured: SIDES.sampled, against: SIDES.off, target: TARGET },
  { name: 'batches-metrics', load: 'batches', measured: SIDES.metrics, against: SIDES.off, target: TARGET },
  { name: 'unary-follow', load: 'unary', measured: SIDES.follow, against: SIDES.off },
  { name: 'unary-sampled', load: 'unary', measured: SIDES.sampled, against: SIDES.off },
  { name: 'unary-metrics', load: 'unary', measured: SIDES.metrics, against: SIDES.off },
  // What the method says of two clusters that differ in nothing.
  { name: 'same-batches', load: 'batches', measured: SIDES.off, against: SIDES.off },
  { name: 'same-unary', load: 'unary', measured: SIDES.off, against: SIDES.off },
];
