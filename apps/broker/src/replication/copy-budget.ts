/**
 * What a broker may send to replicas that are being made, all together: so many bytes a second, and what was not sent in the
 * last moments is not saved up. Members are not held back by it, in sync or not: a partition whose member lags is one fault
 * away from standing still. One timer serves all streams that wait, in turn.
 */
import type { Clock, TimerHandle, Timers } from '@partita/domain';

/** How often those that wait are looked at. */
const REFILL_MS = 20;
/** Time whose bytes may be sent at once: longer than the refills may be late. */
const SAVED_MS_MAX = 100;

export interface CopyBudgetOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** The rate as it is now. */
  readonly bytesPerSecond: () => number;
}

export class CopyBudget {
  readonly #options: CopyBudgetOptions;
  /** Below zero after a message that was larger than what was left: that is paid back first. */
  #bytes = 0;
  #refilledAtMs: number;
  /** Whoever was told to wait, until it is told to go on; bounded by the brokers. */
  readonly #waiting = new Set<() => void>();
  #timer: TimerHandle | undefined;

  constructor(options: CopyBudgetOptions) {
    this.#options = options;
    this.#refilledAtMs = options.clock.monotonicMs() - SAVED_MS_MAX;
  }

  /** True when a message may be sent now. Otherwise `goOn` is called once, when it is worth another try. */
  maySend(goOn: () => void): boolean {
    this.#refill();
    if (this.#bytes > 0) return true;
    this.#waiting.add(goOn);
    this.#timer ??= this.#options.timers.after(REFILL_MS, () => this.#wake());
    return false;
  }

  /** So many bytes were sent. */
  spend(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Whoever waits is gone. */
  forget(goOn: () => void): void {
    this.#waiting.delete(goOn);
  }

  #refill(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const perMs = this.#options.bytesPerSecond() / 1000;
    this.#bytes = Math.min(this.#bytes + perMs * (nowMs - this.#refilledAtMs), perMs * SAVED_MS_MAX);
    this.#refilledAtMs = nowMs;
  }

  #wake(): void {
    this.#timer = undefined;
    const [first, ...others] = this.#waiting;
    this.#waiting.clear();
    // Whoever was first is last now, as all come to wait again in this order: there may be enough for one only.
    for (const goOn of others) goOn();
    first?.();
  }
}
