/** Gets the metrics of services once a second, as Prometheus does. */

const INTERVAL_MS = 1000;
const SCRAPE_MS_MAX = 5000;

export class Scraper {
  readonly #addresses: readonly string[];
  readonly #timer: NodeJS.Timeout;
  readonly #underWay = new Set<Promise<void>>();
  #failure: Error | undefined;

  private constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
    this.#timer = setInterval(() => this.#scrapeAll(), INTERVAL_MS);
  }

  /** Of `host:port` each. Throws an Error when there are none. */
  static start(addresses: readonly string[]): Scraper {
    if (addresses.length === 0) throw new Error('the cluster has no metrics to scrape');
    return new Scraper(addresses);
  }

  /** Rejects with the first failure there was: what is not scraped costs nothing. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #scrapeAll(): void {
    for (const address of this.#addresses) {
      const scrape = this.#scrape(address).catch((error: unknown) => {
        this.#failure ??= new Error(`metrics of ${address}: ${String(error)}`);
      });
      this.#underWay.add(scrape);
      void scrape.finally(() => this.#underWay.delete(scrape));
    }
  }

  async #scrape(address: string): Promise<void> {
    const response = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(SCRAPE_MS_MAX) });
    const text = await response.text();
    if (!response.ok || !text.includes('partita_')) throw new Error(`status ${response.status}, no metrics`);
  }
}
