/** The numbers themselves. */
import { invariant } from '@partita/domain';
import type { CounterSeries, GaugeSeries, HistogramSeries } from './metrics.ts';

/** Labels by their OpenTelemetry name. */
export type Labels = Readonly<Record<string, string>>;

/** A counter's or a gauge's value. */
export class NumberSeries implements CounterSeries, GaugeSeries {
  readonly labels: Labels;
  value = 0;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  add(amount: number): void {
    this.value += amount;
  }

  set(value: number): void {
    this.value = value;
  }
}

/** Counts by bucket: `counts[i]` of values above `bounds[i - 1]` and up to `bounds[i]`, the last of those above all bounds. */
export class BucketSeries implements HistogramSeries {
  readonly labels: Labels;
  readonly bounds: readonly number[];
  readonly counts: number[];
  count = 0;
  sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    invariant(
      bounds.every((bound, index) => index === 0 || bound > (bounds[index - 1] ?? bound)),
      'bounds of buckets rise',
    );
    this.labels = labels;
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  record(value: number): void {
    const { bounds, counts } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (bounds[middle] ?? Infinity)) high = middle;
      else low = middle + 1;
    }
    counts[low] = (counts[low] ?? 0) + 1;
    this.count += 1;
    this.sum += value;
  }
}
