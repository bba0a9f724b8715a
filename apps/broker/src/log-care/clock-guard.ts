/**
 * Whether the wall clock may be believed where that deletes records (REPLICATION: "Storage rules"). A clock that was set
 * shows in its distance from the monotonic one. From then on, and from the start, it counts only while it agrees with the
 * coordinator's clock and with most brokers' clocks, as the last heartbeat told them.
 */
import { CLOCK_JUMP_MS_MAX, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { Clock } from '@partita/domain';

/** Wall clocks of others at one moment, milliseconds UTC. */
export interface OtherClocks {
  readonly coordinatorMs: number;
  /** Median of the brokers'. */
  readonly brokersMs: number;
}

export type ClockVerdict =
  | { readonly isTrusted: true }
  /** `why` is for the log; `isNew` the first time that it is said. */
  | { readonly isTrusted: false; readonly why: string; readonly isNew: boolean };

export class ClockGuard {
  readonly #clock: Clock;
  #others: (OtherClocks & { readonly heardAtMs: number }) | undefined;
  /** Wall clock minus monotonic clock at the last look. */
  #offsetMs: number;
  /** Set when the clock was set, until the others agree. */
  #jumpedMs = 0;
  #said = '';

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offsetMs = clock.wallMs() - clock.monotonicMs();
  }

  /** Takes in a heartbeat. */
  hear(clocks: OtherClocks): void {
    this.#others = { ...clocks, heardAtMs: this.#clock.monotonicMs() };
  }

  /** True when the clock may be believed now. */
  get isTrusted(): boolean {
    return this.#fault() === undefined;
  }

  /** Judges the clock now, for whoever says it to the operator. */
  look(): ClockVerdict {
    const why = this.#fault();
    if (why === undefined) {
      this.#said = '';
      return { isTrusted: true };
    }
    const isNew = this.#said !== why.kind;
    this.#said = why.kind;
    return { isTrusted: false, why: why.text, isNew };
  }

  #fault(): { kind: string; text: string } | undefined {
    const offsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    this.#jumpedMs += offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    const others = this.#others;
    const monotonicMs = this.#clock.monotonicMs();
    if (others === undefined || monotonicMs - others.heardAtMs > STREAM_SILENCE_MS_MAX) {
      if (Math.abs(this.#jumpedMs) <= CLOCK_JUMP_MS_MAX)
        return { kind: 'silence', text: 'no coordinator tells its time' };
      return { kind: 'jump', text: `it was set by ${Math.round(this.#jumpedMs / 1000)} s` };
    }
    const wallMs = this.#clock.wallMs() - (monotonicMs - others.heardAtMs);
    for (const [who, otherMs] of [
      ["the coordinator's", others.coordinatorMs],
      ["most brokers'", others.brokersMs],
    ] as const) {
      if (Math.abs(wallMs - otherMs) <= CLOCK_JUMP_MS_MAX) continue;
      return { kind: who, text: `it is ${Math.round((wallMs - otherMs) / 1000)} s ahead of ${who}` };
    }
    this.#jumpedMs = 0;
    return undefined;
  }
}
