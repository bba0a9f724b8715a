/**
 * Keeps labels within the bounds of their row: how many values a label has, and how many series an instrument has. What is
 * beyond counts under OTHER_LABEL, so sums stay right while memory and the size of an answer stay bounded.
 */
import { METRIC_SERIES_COUNT_MAX } from '@partita/domain';
import { OTHER_LABEL } from './instrument.ts';
import type { InstrumentRow, LabelBound } from './instrument.ts';
import type { Labels } from './series.ts';

/** Labels that may be used, and one text that differs for different ones. */
interface NamedSeries {
  readonly key: string;
  readonly labels: Labels;
}

export class LabelLimits {
  readonly #bounds: readonly (readonly [name: string, bound: LabelBound])[];
  readonly #seen = new Map<string, Set<string>>();
  readonly #keys = new Set<string>();

  constructor(row: InstrumentRow) {
    this.#bounds = Object.entries(row.labels ?? {});
  }

  /** The series that these labels, which the row has, fall under. */
  admit(given: Labels): NamedSeries {
    const named = this.#name(given, (name, bound, value) => this.#bounded(name, bound, value));
    if (this.#keys.has(named.key)) return named;
    if (this.#keys.size < METRIC_SERIES_COUNT_MAX) {
      this.#keys.add(named.key);
      return named;
    }
    // Closed sets stay as they are: there are few, and an error without its reason is no use.
    return this.#name(given, (_name, bound, value) => (typeof bound === 'number' ? OTHER_LABEL : value));
  }

  #name(given: Labels, map: (name: string, bound: LabelBound, value: string) => string): NamedSeries {
    const labels: Record<string, string> = {};
    let key = '';
    for (const [name, bound] of this.#bounds) {
      const value = map(name, bound, given[name] ?? '');
      labels[name] = value;
      key += `${value}\0`;
    }
    return { key, labels };
  }

  #bounded(name: string, bound: LabelBound, value: string): string {
    if (typeof bound !== 'number') return bound.includes(value) ? value : OTHER_LABEL;
    let seen = this.#seen.get(name);
    if (seen === undefined) this.#seen.set(name, (seen = new Set()));
    if (seen.has(value)) return value;
    if (seen.size >= bound) return OTHER_LABEL;
    seen.add(value);
    return value;
  }
}
