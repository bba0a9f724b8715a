import { expect, it } from 'vitest';
import type { Clock, Timers } from '@partita/domain';
import { CopyBudget } from './copy-budget.ts';

/** Time that passes when a test says so; timers are called late by at most `stepMs`. */
class Time {
  nowMs = 0;
  readonly #due: { atMs: number; call: () => void }[] = [];
  readonly clock: Clock = { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs };
  readonly timers: Timers = {
    after: (ms, call) => {
      const entry = { atMs: this.nowMs + ms, call };
      this.#due.push(entry);
      return { cancel: () => void this.#due.splice(this.#due.indexOf(entry), 1) };
    },
  };

  get timerCount(): number {
    return this.#due.length;
  }

  pass(ms: number, stepMs = 1): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs;) {
      this.nowMs += stepMs;
      for (const entry of this.#due.filter(({ atMs }) => atMs <= this.nowMs)) {
        this.#due.splice(this.#due.indexOf(entry), 1);
        entry.call();
      }
    }
  }
}

/** A stream that always has more to send, in messages of so many bytes. */
class Copy {
  sentBytes = 0;
  readonly #budget: CopyBudget;
  readonly #messageBytes: number;

  constructor(budget: CopyBudget, messageBytes: number) {
    this.#budget = budget;
    this.#messageBytes = messageBytes;
  }

  readonly pump = (): void => {
    while (this.#budget.maySend(this.pump)) {
      this.#budget.spend(this.#messageBytes);
      this.sentBytes += this.#messageBytes;
    }
  };
}

function budgetOf(time: Time, bytesPerSecond: () => number): CopyBudget {
  return new CopyBudget({ clock: time.clock, timers: time.timers, bytesPerSecond });
}

it('gives out what the rate allows, however large the messages are and however late the timers', () => {
  for (const [messageBytes, stepMs] of [
    [10, 1],
    [1000, 1],
    [100, 37],
    [30_000, 1],
  ] as const) {
    const time = new Time();
    const copy = new Copy(
      budgetOf(time, () => 10_000),
      messageBytes,
    );
    copy.pump();
    time.pass(10_000, stepMs);
    // What is saved up at the start, and the last message that is larger than what was left.
    expect(copy.sentBytes).toBeLessThanOrEqual(10 * time.nowMs + 1000 + messageBytes);
    expect(copy.sentBytes).toBeGreaterThanOrEqual(95_000 - messageBytes);
  }
});

it('saves up no more than a moment, and goes by the rate as it is now', () => {
  const time = new Time();
  let rate = 10_000;
  const copy = new Copy(
    budgetOf(time, () => rate),
    100,
  );
  time.pass(60_000);
  copy.pump();
  expect(copy.sentBytes).toBe(1000);
  rate = 100_000;
  time.pass(1000);
  expect(copy.sentBytes).toBeGreaterThan(95_000);
});

it('serves all that wait, none more than its share, with one timer', () => {
  const time = new Time();
  const budget = budgetOf(time, () => 100_000);
  const copies = Array.from({ length: 5 }, () => new Copy(budget, 500));
  for (const copy of copies) copy.pump();
  expect(time.timerCount).toBe(1);
  time.pass(10_000);
  for (const { sentBytes } of copies) expect(sentBytes).toBeGreaterThan(0.8 * 200_000);
});

it('asks nobody again who is gone', () => {
  const time = new Time();
  const budget = budgetOf(time, () => 1000);
  const copy = new Copy(budget, 100_000);
  copy.pump();
  budget.forget(copy.pump);
  time.pass(200_000);
  expect(copy.sentBytes).toBe(100_000);
  expect(time.timerCount).toBe(0);
});
