/**
 * How long it takes until what is durable on the leader is committed. One note for each write, in the order of the log; with
 * a single replica both happen in one step.
 */
import type { Clock } from '@partita/domain';
import type { HistogramSeries } from '@partita/telemetry';

/** Writes that wait for followers. Beyond, none is noted until one of them is committed: a sample is enough. */
const NOTE_COUNT_MAX = 1000;

interface Note {
  readonly end: bigint;
  readonly atMs: number;
}

export class CommitWatch {
  readonly #clock: Clock;
  readonly #durations: HistogramSeries;
  readonly #notes: Note[] = [];

  constructor(clock: Clock, durations: HistogramSeries) {
    this.#clock = clock;
    this.#durations = durations;
  }

  /** Everything below the offset is durable on the leader. Call before it may be committed. */
  durable(end: bigint): void {
    if (this.#notes.length < NOTE_COUNT_MAX) this.#notes.push({ end, atMs: this.#clock.monotonicMs() });
  }

  /** Everything below the offset is committed. */
  committed(highWatermark: bigint): void {
    const open = this.#notes.findIndex(({ end }) => end > highWatermark);
    const count = open < 0 ? this.#notes.length : open;
    if (count === 0) return;
    const nowMs = this.#clock.monotonicMs();
    for (const { atMs } of this.#notes.splice(0, count)) this.#durations.record((nowMs - atMs) / 1000);
  }
}
