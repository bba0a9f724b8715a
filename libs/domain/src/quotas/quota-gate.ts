/** Lets what is produced through at the rates of its quotas: at once, after a short wait in order, or not at all. */
import { PartitaError } from '../errors.ts';
import { QUOTA_DELAY_MS_MAX, QUOTA_DELAYED_BYTES_MAX, QUOTA_DELAYED_COUNT_MAX } from '../limits.ts';
import type { Clock, Timers } from '../ports.ts';
import { DelayLanes, DelayRoom } from './delay-lanes.ts';
import type { Delayed } from './delay-lanes.ts';
import type { BoundBucket, QuotaBuckets } from './quota-buckets.ts';
import type { QuotaKind } from './quota.ts';

/** Told of what quotas do. */
export interface QuotaMeter {
  delayed(kind: QuotaKind, topic: string, delayMs: number): void;
  refused(kind: QuotaKind, topic: string): void;
}

export interface QuotaGateOptions {
  readonly buckets: QuotaBuckets;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly meter: QuotaMeter;
}

/** What wants to go. */
export interface QuotaLoad {
  readonly clientId: string;
  readonly topic: string;
  readonly bytes: number;
  /** What shares a lane keeps its order. */
  readonly lane: string;
  /** Monotonic milliseconds: it waits for half of the time that is left at most. */
  readonly deadlineAtMs: number;
  /** Bounds what of one stream waits. */
  readonly room?: DelayRoom;
}

export class QuotaGate {
  readonly #options: QuotaGateOptions;
  readonly #lanes: DelayLanes;

  constructor(options: QuotaGateOptions) {
    this.#options = options;
    const room = new DelayRoom(QUOTA_DELAYED_COUNT_MAX, QUOTA_DELAYED_BYTES_MAX);
    this.#lanes = new DelayLanes(options.clock, options.timers, room);
  }

  /** False = whatever comes may go at once, and nothing waits: `pass` need not be called. */
  get isOn(): boolean {
    return this.#options.buckets.isOn || !this.#lanes.isEmpty;
  }

  /** Bytes that wait. */
  get delayedBytes(): number {
    return this.#lanes.room.bytes;
  }

  /** Calls `go` now or later, once; it must not throw. Throws QUOTA_EXCEEDED when the load would wait for too long. */
  pass(load: QuotaLoad, go: () => void): void {
    const { buckets, clock, meter } = this.#options;
    const { topic, bytes } = load;
    const nowMs = clock.monotonicMs();
    const bound = buckets.of(load.clientId, topic, nowMs);
    let waitMs = 0;
    let slowest: BoundBucket | undefined;
    for (const candidate of bound) {
      const candidateMs = candidate.bucket.waitMs(bytes, nowMs);
      if (candidateMs <= waitMs) continue;
      waitMs = candidateMs;
      slowest = candidate;
    }
    const lastDueAtMs = this.#lanes.isEmpty ? undefined : this.#lanes.lastDueAtMs(load.lane);
    if (slowest === undefined && lastDueAtMs === undefined) {
      for (const { bucket } of bound) bucket.take(bytes, nowMs);
      return go();
    }
    const delayed: Delayed = { bytes, room: load.room, go };
    const mayWaitMs = Math.min(QUOTA_DELAY_MS_MAX, (load.deadlineAtMs - nowMs) / 2);
    const delayMs = Math.max(waitMs, (lastDueAtMs ?? nowMs) - nowMs);
    const culprit = slowest ?? bound[0];
    const fits = this.#lanes.fits(delayed);
    if (culprit !== undefined && (delayMs > mayWaitMs || !fits)) {
      meter.refused(culprit.kind, topic);
      throw exceeded(culprit, delayMs);
    }
    if (!fits) throw full(delayMs);
    for (const { bucket } of bound) bucket.take(bytes, nowMs);
    if (culprit !== undefined) meter.delayed(culprit.kind, topic, delayMs);
    // Also what no quota binds any more waits for those before it.
    this.#lanes.push(load.lane, delayed, nowMs + delayMs);
  }
}

function exceeded({ name, bytesPerSecond }: BoundBucket, waitMs: number): PartitaError {
  const retryAfterMs = Math.max(1, Math.ceil(waitMs));
  const text = `the quota of ${name}, ${bytesPerSecond} bytes a second, is used up; try again in ${retryAfterMs} ms`;
  return new PartitaError('QUOTA_EXCEEDED', text, { quota: name, limit: String(bytesPerSecond) }, { retryAfterMs });
}

/** For what no quota binds any more, and waits behind what one did. */
function full(delayMs: number): PartitaError {
  const metadata = { queue: 'quota', limit: String(QUOTA_DELAYED_BYTES_MAX) };
  const retryAfterMs = Math.max(1, Math.ceil(delayMs));
  return new PartitaError('QUEUE_FULL', 'too much waits for quotas; try again in a moment', metadata, { retryAfterMs });
}
