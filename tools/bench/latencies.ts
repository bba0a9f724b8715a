/** Latencies in HDR histograms: microseconds, three digits. */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Histogram } from 'hdr-histogram-js';

const HIGHEST_MICROS = 60_000_000;

/** Percentiles in milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export class Latencies {
  readonly #histogram: Histogram = newHistogram();

  /** Notes one call that began at `startMs`, by performance.now(). */
  record(startMs: number): void {
    const micros = Math.round((performance.now() - startMs) * 1000);
    this.#histogram.recordValue(Math.max(1, Math.min(micros, HIGHEST_MICROS)));
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }
}

/** Percentiles of all runs together: of the union of their calls, not a mean of percentiles. */
export function mergedPercentiles(encoded: readonly string[]): Percentiles {
  const all = newHistogram();
  for (const text of encoded) all.add(decodeFromCompressedBase64(text));
  const at = (percentile: number): number => all.getValueAtPercentile(percentile) / 1000;
  return { p50: at(50), p99: at(99), p999: at(99.9) };
}

function newHistogram(): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: HIGHEST_MICROS, numberOfSignificantValueDigits: 3 });
}
