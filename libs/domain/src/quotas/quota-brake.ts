/**
 * Slows readers down: what was sent is charged, and while a quota is overdrawn nothing more is sent. Nobody is refused.
 */
import type { Clock } from '../ports.ts';
import type { QuotaMeter } from './quota-gate.ts';
import type { BoundBucket, QuotaBuckets } from './quota-buckets.ts';

export class QuotaBrake {
  readonly #buckets: QuotaBuckets;
  readonly #clock: Clock;
  readonly #meter: Pick<QuotaMeter, 'delayed'>;

  constructor(buckets: QuotaBuckets, clock: Clock, meter: Pick<QuotaMeter, 'delayed'>) {
    this.#buckets = buckets;
    this.#clock = clock;
    this.#meter = meter;
  }

  /** False = nobody waits: neither method need be called. */
  get isOn(): boolean {
    return this.#buckets.isOn;
  }

  /** Milliseconds until the topic may be sent to the client; 0 = now. A wait is measured each time it is asked for. */
  waitMs(clientId: string, topic: string): number {
    const nowMs = this.#clock.monotonicMs();
    let waitMs = 0;
    let slowest: BoundBucket | undefined;
    for (const bound of this.#buckets.of(clientId, topic, nowMs)) {
      const boundMs = bound.bucket.waitMs(1, nowMs);
      if (boundMs <= waitMs) continue;
      waitMs = boundMs;
      slowest = bound;
    }
    if (slowest !== undefined) this.#meter.delayed(slowest.kind, topic, waitMs);
    return Math.ceil(waitMs);
  }

  /** So many bytes were sent. */
  spend(clientId: string, topic: string, bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { bucket } of this.#buckets.of(clientId, topic, nowMs)) bucket.take(bytes, nowMs);
  }
}
