/**
 * What a coordinator may do, by what the metadata store last said of the lease. Times are monotonic milliseconds that the
 * caller passes in. The lease only keeps coordinators from getting in each other's way; no record depends on it.
 *
 *   standby     another coordinator holds the lease, or nobody has told yet who does: watch, relay, order nothing.
 *   active      holds the lease: elections, publishing, admin writes.
 *   suspect     holds the lease, but the store has lost writes: elections go on, admin writes wait until it is written anew.
 *   unanchored  the store does not answer: elections of partitions without a leader go on, admin writes are refused.
 */
export const LEASE_TTL_MS = 6000;
/** A holder counts its lease as over this long after it sent the last renewal that was answered. */
export const LEASE_TRUST_MS = 5000;
export const LEASE_RENEW_MS = 2000;

export type LeaseStatus = 'standby' | 'active' | 'suspect' | 'unanchored';

/** Who else holds the lease. */
export interface OtherHolder {
  readonly run: string;
  readonly url: string;
}

export class LeaseState {
  /** Number of the lease held at the moment or last; 0 = never held. */
  tokenNumber = 0;
  #trustedUntilMs = -Infinity;
  #storeSilentSinceMs: number | undefined;
  #suspect = false;
  #other: OtherHolder | undefined;

  /** The store gave or renewed the lease; `sentAtMs` is when it was asked, so that its way back does not count as ours. */
  held(tokenNumber: number, sentAtMs: number): void {
    this.tokenNumber = tokenNumber;
    this.#trustedUntilMs = sentAtMs + LEASE_TRUST_MS;
    this.#storeSilentSinceMs = undefined;
    this.#other = undefined;
  }

  /** The store answers that somebody else holds it: over at once. */
  heldByOther(holder: OtherHolder | undefined): void {
    this.#trustedUntilMs = -Infinity;
    this.#storeSilentSinceMs = undefined;
    this.#suspect = false;
    this.#other = holder;
  }

  /** The store did not answer. */
  storeSilent(nowMs: number): void {
    this.#storeSilentSinceMs ??= nowMs;
  }

  /** The store answers, but has lost writes. */
  storeLostWrites(): void {
    this.#suspect = true;
  }

  /** The store has been written anew. */
  storeRestored(): void {
    this.#suspect = false;
  }

  /** Given back at a clean stop. */
  released(): void {
    this.#trustedUntilMs = -Infinity;
    this.#suspect = false;
  }

  status(nowMs: number): LeaseStatus {
    if (nowMs < this.#trustedUntilMs) return this.#suspect ? 'suspect' : 'active';
    const silentMs = this.#storeSilentSinceMs === undefined ? 0 : nowMs - this.#storeSilentSinceMs;
    // As long as another may trust its lease it is left to order; later both may, which costs a duel and no record.
    return silentMs >= LEASE_TRUST_MS || (silentMs > 0 && this.tokenNumber > 0 && this.#other === undefined)
      ? 'unanchored'
      : 'standby';
  }

  /** Where admin calls go while this coordinator is standby; undefined = nobody known. */
  otherHolder(): OtherHolder | undefined {
    return this.#other;
  }
}
