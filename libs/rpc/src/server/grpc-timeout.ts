/** The `grpc-timeout` header: a number of at most 8 digits and a unit. */
const TIMEOUT = /^(\d{1,8})([HMS])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000 };
const TIMER_MS_MAX = 2 ** 31 - 1;

/** True for a time-out that overflows grpc-js's 32-bit arithmetic, so that a call of years would end at once. */
export function isBeyondTimers(header: unknown): boolean {
  if (typeof header !== 'string') return false;
  const [, digits, unit] = TIMEOUT.exec(header) ?? [];
  return digits !== undefined && unit !== undefined && Number(digits) * (UNIT_MS[unit] ?? 0) > TIMER_MS_MAX;
}
