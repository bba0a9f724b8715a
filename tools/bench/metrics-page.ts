/** What a service tells Prometheus, read once. */

const READ_MS_MAX = 10_000;

/** Values by series, as they stand in the page: `name{label="value"}`. */
export type MetricsPage = ReadonlyMap<string, number>;

/** Of `host:port`. Throws an Error when it does not answer with metrics. */
export async function readMetrics(address: string): Promise<MetricsPage> {
  const response = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(READ_MS_MAX) });
  const text = await response.text();
  if (!response.ok) throw new Error(`metrics of ${address}: status ${response.status}`);
  return parseMetrics(text);
}

export function parseMetrics(text: string): MetricsPage {
  const page = new Map<string, number>();
  for (const line of text.split('\n')) {
    const end = line.lastIndexOf(' ');
    if (end > 0 && !line.startsWith('#')) page.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return page;
}

/** Sum of the series of a name whose labels have all of the given text; 0 when there is none. */
export function sumOf(page: MetricsPage, name: string, labels = ''): number {
  let sum = 0;
  for (const [series, value] of page) {
    if (series === name || (series.startsWith(`${name}{`) && series.includes(labels))) sum += value;
  }
  return sum;
}
