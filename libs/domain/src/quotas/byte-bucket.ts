/**
 * A token bucket in bytes: a second's worth may go at once, the rest at the rate. What is larger than a second's worth goes
 * when the bucket is full, and is paid back before anything else goes. So over any window what went is at most rate x window
 * + one second's worth, or + the largest where that is more. Whoever takes before it may go has reserved its turn.
 */
const MS_PER_S = 1000;

export class ByteBucket {
  #bytesPerSecond: number;
  /** Below zero = reserved ahead, or owed. */
  #level: number;
  #refilledAtMs: number;

  /** Full. The rate is above 0; times are monotonic milliseconds. */
  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#level = bytesPerSecond;
    this.#refilledAtMs = nowMs;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** What was saved above the new second's worth is lost; what is owed stays. */
  setRate(bytesPerSecond: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#bytesPerSecond = bytesPerSecond;
    this.#level = Math.min(this.#level, bytesPerSecond);
  }

  /** Milliseconds until so many bytes may go; 0 = now. */
  waitMs(bytes: number, nowMs: number): number {
    this.#refill(nowMs);
    const missing = Math.min(bytes, this.#bytesPerSecond) - this.#level;
    return missing <= 0 ? 0 : (missing * MS_PER_S) / this.#bytesPerSecond;
  }

  /** The bytes go, now or after `waitMs`. */
  take(bytes: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#level -= bytes;
  }

  /** True = nothing is lost by forgetting it. */
  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#level >= this.#bytesPerSecond;
  }

  #refill(nowMs: number): void {
    const earned = ((nowMs - this.#refilledAtMs) * this.#bytesPerSecond) / MS_PER_S;
    if (earned <= 0) return;
    this.#level = Math.min(this.#bytesPerSecond, this.#level + earned);
    this.#refilledAtMs = nowMs;
  }
}
