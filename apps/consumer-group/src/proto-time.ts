/** Durations and timestamps of the contract as milliseconds, and back. */
import type { Duration, Timestamp } from '@partita/protocol';

export function durationMs(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1_000_000;
}

export function timestampMs(timestamp: Timestamp): bigint {
  return timestamp.seconds * 1000n + BigInt(Math.floor(timestamp.nanos / 1_000_000));
}

/** `ms` at or after 1970. */
export function timestampOf(ms: bigint): Timestamp {
  return { seconds: ms / 1000n, nanos: Number(ms % 1000n) * 1_000_000 };
}

/** Whole milliseconds, at least 0. */
export function durationOf(ms: number): Duration {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round(ms % 1000) * 1_000_000 };
}
