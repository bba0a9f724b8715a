/** Measures what arrives for some seconds, from the first arrival on: how long it took to begin is not throughput. */
import type { Sample } from '../sample.ts';

export class ReceiveMeter {
  readonly result: Promise<Sample>;
  readonly #seconds: number;
  #resolve: (sample: Sample) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #startMs = 0;
  #recordCount = 0;
  #bytes = 0;
  over = false;

  constructor(seconds: number) {
    this.#seconds = seconds;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The first arrival starts the clock and does not count. */
  received(recordCount: number, bytes: number): void {
    const nowMs = performance.now();
    if (this.#startMs === 0) {
      this.#startMs = nowMs;
      return;
    }
    this.#recordCount += recordCount;
    this.#bytes += bytes;
    if (nowMs - this.#startMs >= this.#seconds * 1000) this.finish();
  }

  /** Nothing more will come. */
  finish(): void {
    if (this.over) return;
    this.over = true;
    const durationMs = performance.now() - this.#startMs;
    this.#resolve({ recordCount: this.#recordCount, bytes: this.#bytes, durationMs });
  }

  fail(error: Error): void {
    this.#reject(error);
  }
}
