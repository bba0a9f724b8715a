/** Metrics: the table of instruments, and how code counts and measures by it. */
export { INSTRUMENTS, INSTRUMENTS_BY_SERVICE } from './instrument-table.ts';
export type { CounterName, GaugeName, HistogramName, InstrumentName, LabelsOf } from './instrument-table.ts';
export { OTHER_LABEL } from './instrument.ts';
export type { InstrumentKind, InstrumentRow, InstrumentUnit, LabelBound } from './instrument.ts';
export { STATUS_CODES } from './instruments/process-instruments.ts';
export { NO_METRICS } from './metrics.ts';
export type { CounterSeries, GaugeSeries, HistogramSeries, Instrument, Metrics, Report } from './metrics.ts';
export { MetricRegistry } from './metric-registry.ts';
export type { Collected } from './metric-registry.ts';
export { prometheusLabel, prometheusName } from './prometheus-name.ts';
