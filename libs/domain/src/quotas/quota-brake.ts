/**
 * Slows readers down: what was sent is charged, and while a quota is overdrawn nothing more is sent. Nobody is refused.
 */
import type { Clock } from '../ports.ts';
import type { QuotaMeter } from './quota-gate.ts';
import type { BoundBucket, QuotaBuckets } from './quota-buckets.ts';

const SLICES_PER_SECOND = 4;

export class QuotaBrake {
  readonly #buckets: QuotaBuckets;
  readonly #clock: Clock;
  readonly #meter: Pick<QuotaMeter, 'delayed'>;

  constructor(buckets: QuotaBuckets, clock: Clock, meter: Pick<QuotaMeter, 'delayed'>) {
    this.#buckets = buckets;
    this.#clock = clock;
    this.#meter = meter;
  }

  /** False = nobody waits: no other method need be called. */
  get isOn(): boolean {
    return this.#buckets.isOn;
  }

  /** Milliseconds until the topic may be sent to the client; 0 = now. */
  waitMs(clientId: string, topic: string): number {
    return Math.ceil(this.#slowest(clientId, topic).waitMs);
  }

  /** What may be read at once, so that what is charged afterwards is not far beyond: a quarter of a second's worth. */
  sliceBytes(clientId: string, topic: string): number {
    let bytes = Infinity;
    for (const { bucket } of this.#buckets.of(clientId, topic, this.#clock.monotonicMs()))
      bytes = Math.min(bytes, Math.ceil(bucket.bytesPerSecond / SLICES_PER_SECOND));
    return bytes;
  }

  /** A reader begins to wait for so long. */
  noteHold(clientId: string, topic: string, holdMs: number): void {
    const { bound } = this.#slowest(clientId, topic);
    if (bound !== undefined) this.#meter.delayed(bound.kind, topic, holdMs);
  }

  /** So many bytes were sent. */
  spend(clientId: string, topic: string, bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { bucket } of this.#buckets.of(clientId, topic, nowMs)) bucket.take(bytes, nowMs);
  }

  #slowest(clientId: string, topic: string): { readonly bound: BoundBucket | undefined; readonly waitMs: number } {
    const nowMs = this.#clock.monotonicMs();
    let slowest: BoundBucket | undefined;
    let waitMs = 0;
    for (const bound of this.#buckets.of(clientId, topic, nowMs)) {
      const boundMs = bound.bucket.waitMs(1, nowMs);
      if (boundMs <= waitMs) continue;
      waitMs = boundMs;
      slowest = bound;
    }
    return { bound: slowest, waitMs };
  }
}
