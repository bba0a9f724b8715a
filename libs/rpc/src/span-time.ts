/**
 * Times of spans. OpenTelemetry's own clock begins a span at a whole millisecond, which tears children of less than one
 * away from their parents; so our spans are given both of their times.
 */

/** Beyond this the wall clock was set, or the machine slept, since the process began. */
const DRIFT_MS_MAX = 5;

/** A time on the monotonic clock (performance.now), now by default, as milliseconds since 1970 UTC with fractions. */
export function spanTimeMs(monotonicMs?: number): number {
  const nowMs = performance.now();
  const driftMs = Date.now() - (performance.timeOrigin + nowMs);
  const originMs = performance.timeOrigin + (Math.abs(driftMs) < DRIFT_MS_MAX ? 0 : Math.round(driftMs));
  return originMs + (monotonicMs ?? nowMs);
}
