/**
 * The metrics of a process: makes instruments from the table, keeps their series, and tells all of them at a collection.
 * Knows no exporter; `@partita/runtime` turns a collection into what OpenTelemetry's exporters take.
 */
import { INSTRUMENTS } from './instrument-table.ts';
import type { InstrumentName, LabelsOf } from './instrument-table.ts';
import type { InstrumentRow } from './instrument.ts';
import { LabelLimits } from './label-limits.ts';
import type { Instrument, Metrics, Report } from './metrics.ts';
import { BucketSeries, NumberSeries } from './series.ts';
import type { Labels } from './series.ts';

/** The series of an instrument at one moment. Those of counters and gauges are numbers, those of histograms buckets. */
export interface Collected {
  readonly name: InstrumentName;
  readonly row: InstrumentRow;
  readonly numbers: readonly Readonly<NumberSeries>[];
  readonly buckets: readonly Readonly<BucketSeries>[];
}

type Observer = (report: (value: number, labels?: Labels) => void) => void;

/** One instrument that somebody has asked for. */
class Family {
  readonly name: InstrumentName;
  readonly row: InstrumentRow;
  readonly observers = new Set<Observer>();
  readonly #limits: LabelLimits;
  readonly #numbers = new Map<string, NumberSeries>();
  readonly #buckets = new Map<string, BucketSeries>();

  constructor(name: InstrumentName) {
    this.name = name;
    this.row = INSTRUMENTS[name];
    this.#limits = new LabelLimits(this.row);
  }

  numberOf(given: Labels): NumberSeries {
    const { key, labels } = this.#limits.admit(given);
    let series = this.#numbers.get(key);
    if (series === undefined) this.#numbers.set(key, (series = new NumberSeries(labels)));
    return series;
  }

  bucketsOf(given: Labels): BucketSeries {
    const { key, labels } = this.#limits.admit(given);
    let series = this.#buckets.get(key);
    if (series === undefined) this.#buckets.set(key, (series = new BucketSeries(labels, this.row.buckets ?? [])));
    return series;
  }

  collect(): Collected {
    const { name, row } = this;
    return {
      name,
      row,
      numbers: [...this.#numbers.values(), ...this.#observe()],
      buckets: [...this.#buckets.values()],
    };
  }

  /** What is observed has its own bounds each time: who was there before takes no room from who is there now. */
  #observe(): Iterable<NumberSeries> {
    if (this.observers.size === 0) return [];
    const limits = new LabelLimits(this.row);
    const observed = new Map<string, NumberSeries>();
    const report = (value: number, given: Labels = {}): void => {
      if (!Number.isFinite(value)) return;
      const { key, labels } = limits.admit(given);
      const series = observed.get(key);
      if (series === undefined) {
        const first = new NumberSeries(labels);
        first.set(value);
        observed.set(key, first);
      } else series.set(this.row.merge === 'max' ? Math.max(series.value, value) : series.value + value);
    };
    for (const observer of this.observers) observer(report);
    return observed.values();
  }
}

export class MetricRegistry implements Metrics {
  readonly isOn = true;
  readonly #families = new Map<InstrumentName, Family>();
  readonly #looks: (() => void)[] = [];

  counter<Name extends InstrumentName>(name: Name): Instrument<NumberSeries, LabelsOf<Name>> {
    return this.#numbers(name);
  }

  gauge<Name extends InstrumentName>(name: Name): Instrument<NumberSeries, LabelsOf<Name>> {
    return this.#numbers(name);
  }

  histogram<Name extends InstrumentName>(name: Name): Instrument<BucketSeries, LabelsOf<Name>> {
    const family = this.#family(name);
    return { of: (labels?: Labels) => family.bucketsOf(labels ?? {}) };
  }

  observe<Name extends InstrumentName>(name: Name, read: (report: Report<LabelsOf<Name>>) => void): () => void {
    const { observers } = this.#family(name);
    const observer: Observer = (report) => read((value, labels?: Labels) => report(value, labels));
    observers.add(observer);
    return () => observers.delete(observer);
  }

  beforeCollect(look: () => void): void {
    this.#looks.push(look);
  }

  /** All instruments that were asked for, in the order of their names. */
  collect(): Collected[] {
    for (const look of this.#looks) look();
    const families = [...this.#families.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
    return families.map((family) => family.collect());
  }

  #numbers<Name extends InstrumentName>(name: Name): Instrument<NumberSeries, LabelsOf<Name>> {
    const family = this.#family(name);
    return { of: (labels?: Labels) => family.numberOf(labels ?? {}) };
  }

  #family(name: InstrumentName): Family {
    let family = this.#families.get(name);
    if (family === undefined) this.#families.set(name, (family = new Family(name)));
    return family;
  }
}
