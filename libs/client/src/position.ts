/** Positions in partitions as callers write them. */
import type { Duration, OffsetSpec, Timestamp } from '@partita/protocol';

/** The first record kept, what comes from now on, an offset, the first record of a time, or of a time ago. */
export type Position = 'earliest' | 'latest' | bigint | Date | { readonly agoMs: number };

export function offsetSpec(position: Position): OffsetSpec {
  if (position === 'earliest') return { position: { $case: 'earliest', earliest: true } };
  if (position === 'latest') return { position: { $case: 'latest', latest: true } };
  if (typeof position === 'bigint') return { position: { $case: 'offset', offset: position } };
  if (position instanceof Date) return { position: { $case: 'time', time: timestamp(position.getTime()) } };
  return { position: { $case: 'ago', ago: split(position.agoMs) } };
}

/** Milliseconds since 1970 as a protobuf timestamp. */
export function timestamp(ms: number): Timestamp {
  return split(ms);
}

/** Milliseconds as seconds and nanoseconds, the latter at least 0. */
export function split(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** A protobuf duration in milliseconds. */
export function durationMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}
