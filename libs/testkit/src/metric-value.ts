/** Reads single numbers of a registry of metrics, so that a test says what it expects in one line. */

/** What it takes of a registry. */
export interface ReadableMetrics {
  collect(): readonly {
    readonly name: string;
    readonly numbers: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
    readonly buckets: readonly { readonly labels: Readonly<Record<string, string>>; readonly count: number }[];
  }[];
}

/** The value of a counter or gauge, or the count of a histogram, of exactly these labels; undefined = there is no such series. */
export function metricValue(
  metrics: ReadableMetrics,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = metrics.collect().find((instrument) => instrument.name === name);
  const isAsked = (series: { readonly labels: Readonly<Record<string, string>> }): boolean =>
    Object.keys(series.labels).length === Object.keys(labels).length &&
    Object.entries(labels).every(([label, value]) => series.labels[label] === value);
  return found?.numbers.find(isAsked)?.value ?? found?.buckets.find(isAsked)?.count;
}
