/**
 * What code that measures is given. A series is what is held on a hot path: adding to one is an addition, recording in one
 * a search among a dozen bounds; finding one by its labels costs more, so that is done once per stream, topic or replica.
 */
import type { CounterName, GaugeName, HistogramName, LabelsOf } from './instrument-table.ts';

export interface CounterSeries {
  /** `amount` is finite and not negative. */
  add(amount: number): void;
}

export interface GaugeSeries {
  add(amount: number): void;
  set(value: number): void;
}

export interface HistogramSeries {
  record(value: number): void;
}

/** An instrument of the table; `of` names one of its series by the labels that its row has. */
export interface Instrument<Series, Labels extends readonly unknown[]> {
  of(...labels: Labels): Series;
}

/** Tells the value of one series, now. A counter is told as its sum since the start of the process. */
export type Report<Labels extends readonly unknown[]> = (value: number, ...labels: Labels) => void;

export interface Metrics {
  /** False = nothing is recorded: what is only needed to record, the reading of a clock, can be left out. */
  readonly isOn: boolean;
  counter<Name extends CounterName>(name: Name): Instrument<CounterSeries, LabelsOf<Name>>;
  gauge<Name extends GaugeName>(name: Name): Instrument<GaugeSeries, LabelsOf<Name>>;
  histogram<Name extends HistogramName>(name: Name): Instrument<HistogramSeries, LabelsOf<Name>>;
  /**
   * `read` is called at each collection and reports what there is then; it is synchronous, and quick. Several may observe
   * one instrument: what they report under the same labels is merged. Returns how to stop.
   */
  observe<Name extends CounterName | GaugeName>(name: Name, read: (report: Report<LabelsOf<Name>>) => void): () => void;
  /** `look` is called once at the beginning of each collection: what several observers report is found out in one go. */
  beforeCollect(look: () => void): void;
}

const NO_SERIES: CounterSeries & GaugeSeries & HistogramSeries = {
  add: () => undefined,
  set: () => undefined,
  record: () => undefined,
};
const NO_INSTRUMENT = { of: () => NO_SERIES };

/** Records nothing and keeps nothing. */
export const NO_METRICS: Metrics = {
  isOn: false,
  counter: () => NO_INSTRUMENT,
  gauge: () => NO_INSTRUMENT,
  histogram: () => NO_INSTRUMENT,
  observe: () => () => undefined,
  beforeCollect: () => undefined,
};
