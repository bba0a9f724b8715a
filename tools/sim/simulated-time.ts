/** A clock and timers that only a simulation moves. */
import type { Clock, TimerHandle, Timers } from '@partita/domain';

interface Timer {
  readonly atMs: number;
  readonly work: () => void;
}

export class SimulatedTime implements Clock, Timers {
  #nowMs: number;
  #timers: Timer[] = [];

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, work: () => void): TimerHandle {
    const timer = { atMs: this.#nowMs + delayMs, work };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Lets time pass and runs what is due. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { work } of due) work();
  }
}
