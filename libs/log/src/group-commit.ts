/**
 * Group commit across the partitions of a broker. Each partition has at most one write under way; what is appended
 * meanwhile goes into its next one, which shares a single fsync. This scheduler decides whose write runs: at most
 * `concurrencyMax` at once (more gain nothing on a device and starve reads of libuv's threads), the others in the order
 * in which they asked. A partition asks again only after its write is done, so it goes behind all that wait: fair.
 */
import { invariant } from '@partita/domain';

/** Writes and fsyncs under way at once in one broker. */
export const SYNC_CONCURRENCY_MAX = 32;

export class SyncScheduler {
  readonly #concurrencyMax: number;
  #runningCount = 0;
  /** Writes that wait for their turn; bounded by the number of partitions, each waits at most once. */
  #waiting: (() => void)[] = [];

  constructor(concurrencyMax: number = SYNC_CONCURRENCY_MAX) {
    invariant(concurrencyMax >= 1, `at least one write at once, not ${concurrencyMax}`);
    this.#concurrencyMax = concurrencyMax;
  }

  /** Runs the write when it is its turn; it gathers its bytes only then, so that it carries all that has queued up. */
  async run<Result>(write: () => Promise<Result>): Promise<Result> {
    if (this.#runningCount >= this.#concurrencyMax) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    } else {
      this.#runningCount += 1;
    }
    try {
      return await write();
    } finally {
      // The place goes to the next in line as it is; it is counted all the time.
      const next = this.#waiting.shift();
      if (next === undefined) this.#runningCount -= 1;
      else next();
    }
  }
}
