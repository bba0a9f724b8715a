/** What a dashboard is made of, before Grafana's own form: rows of panels, each with queries in PromQL. */

/** Grafana's names of units. */
export type Unit = 'short' | 'ops' | 'cps' | 's' | 'bytes' | 'binBps' | 'percentunit' | 'rps';

export interface Query {
  readonly expr: string;
  /** The line's name; `{{label}}` is replaced by the label's value. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** What it says and when to worry, for the "i" of the panel. */
  readonly about: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** `stat` = one number now, green below `redFrom` (or at and above `greenFrom`); default a graph. */
  readonly kind?: 'graph' | 'stat';
  /** First value that is shown in red. */
  readonly redFrom?: number;
  /** First value that is shown in green; below is red. */
  readonly greenFrom?: number;
}

export interface Row {
  readonly title: string;
  /** Closed until somebody opens it: its queries cost nothing before. */
  readonly collapsed?: boolean;
  readonly panels: readonly Panel[];
}

/** A series of the chosen scrape jobs; `matchers` are further ones, in PromQL's form. */
export function series(name: string, matchers = ''): string {
  return `${name}{job=~"$job"${matchers === '' ? '' : `,${matchers}`}}`;
}

/** A counter's rate per second, summed by labels. */
export function ratePerSecond(counter: string, by: string, matchers = ''): string {
  return `sum by (${by}) (rate(${series(counter, matchers)}[$__rate_interval]))`;
}

/** A quantile of a histogram (its name without `_bucket`), by labels. */
export function quantile(share: number, histogram: string, by = '', matchers = ''): string {
  const labels = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${share}, ${ratePerSecond(`${histogram}_bucket`, labels, matchers)})`;
}

/** Median and 99th percentile, a line each, by one label if it is named. */
export function halfAndWorst(histogram: string, by = '', matchers = ''): Query[] {
  const name = by === '' ? '' : ` {{${by}}}`;
  return [
    { expr: quantile(0.5, histogram, by, matchers), legend: `p50${name}` },
    { expr: quantile(0.99, histogram, by, matchers), legend: `p99${name}` },
  ];
}

/** Mean of a histogram over the interval, by one label. */
export function mean(histogram: string, by: string): string {
  return `${ratePerSecond(`${histogram}_sum`, by)} / ${ratePerSecond(`${histogram}_count`, by)}`;
}
