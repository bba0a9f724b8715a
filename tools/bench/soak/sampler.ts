/** Looks at all services of a cluster at intervals, and tells on stderr how far it is. */
import { progress } from '../bench-run.ts';
import { readMetrics, sumOf } from '../metrics-page.ts';
import type { MetricsPage } from '../metrics-page.ts';
import { LATE_MS } from './samples.ts';
import type { ServiceSample, SoakSample } from './samples.ts';

const MIB = 1024 * 1024;
const PROGRESS_MS = 60_000;

export class SoakSampler {
  /** In the order in which they were taken. */
  readonly samples: SoakSample[] = [];
  /** Rejects with the first thing that went wrong; never resolves. */
  readonly failure: Promise<never>;
  readonly #addresses: Readonly<Record<string, string>>;
  #fail: (error: Error) => void = () => {};
  #timer: ReturnType<typeof setInterval> | undefined;
  #startMs = 0;
  #toldMs = -Infinity;

  /** Where the metrics of each service are, `host:port` by its name. */
  constructor(addresses: Readonly<Record<string, string>>) {
    this.#addresses = addresses;
    this.failure = new Promise((_, reject) => (this.#fail = reject));
    // Whoever waits for it learns of it all the same.
    this.failure.catch(() => undefined);
  }

  /** Something else went wrong. */
  fail(error: Error): void {
    this.#fail(error);
  }

  start(intervalMs: number, minutes: number): void {
    this.#startMs = performance.now();
    // What services tell of their event loops is since they were asked last: that was before the load.
    void this.#look().then(() => this.samples.splice(0), this.#fail);
    this.#timer = setInterval(() => void this.#look().then(() => this.#tell(minutes), this.#fail), intervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const atMs = performance.now() - this.#startMs;
    const pages = await Promise.all(
      Object.entries(this.#addresses).map(async ([name, address]) => [name, await readMetrics(address)] as const),
    );
    const services = Object.fromEntries(pages.map(([name, page]) => [name, serviceSample(page)]));
    const lagRecords = pages.reduce((sum, [, page]) => sum + sumOf(page, 'partita_group_lag_records'), 0);
    this.samples.push({ atMs, services, lagRecords });
  }

  #tell(minutes: number): void {
    const last = this.samples.at(-1);
    if (last === undefined || last.atMs - this.#toldMs < PROGRESS_MS) return;
    this.#toldMs = last.atMs;
    const memory = Object.entries(last.services).map(
      ([name, { residentBytes }]) => `${name} ${(residentBytes / MIB).toFixed(0)}`,
    );
    progress(
      `minute ${(last.atMs / 60_000).toFixed(1)} of ${minutes}; MiB: ${memory.join(', ')}; lag ${last.lagRecords}`,
    );
  }
}

export function serviceSample(page: MetricsPage): ServiceSample {
  const turnCount = sumOf(page, 'partita_eventloop_delay_seconds_count');
  return {
    residentBytes: sumOf(page, 'process_memory_usage_bytes'),
    heapBytes: sumOf(page, 'v8js_memory_heap_used_bytes'),
    descriptorCount: sumOf(page, 'process_unix_file_descriptor_count'),
    loopDelayMs: sumOf(page, 'nodejs_eventloop_delay_p99_seconds') * 1000,
    turnCount,
    lateTurnCount: turnCount - sumOf(page, 'partita_eventloop_delay_seconds_bucket', `le="${LATE_MS / 1000}"`),
  };
}
