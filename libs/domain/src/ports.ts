/**
 * The doors to the outside that cores and runners may use. Production passes the real ones, tests and the simulator
 * pass their own, so that the same code runs on both.
 */
export interface Clock {
  /** Wall clock, milliseconds UTC since 1970. May jump; only for timestamps that people see. */
  wallMs(): number;
  /** Monotonic milliseconds with a fraction; for every time-out and duration. */
  monotonicMs(): number;
}

/** A timer that can be cancelled; `cancel` after it fired is harmless. */
export interface TimerHandle {
  cancel(): void;
}

/** Runs work later. */
export interface Timers {
  after(delayMs: number, work: () => void): TimerHandle;
}

/** A source of randomness. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A new lower-case UUID. */
  uuid(): string;
}
