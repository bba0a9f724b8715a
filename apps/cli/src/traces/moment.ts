/** Moments as people write them for traces. */
import type { Timestamp } from '@partita/protocol';
import { duration, position } from '../arguments.ts';
import { UsageError } from '../exit-code.ts';

/** `10m` = ten minutes before now; else a time, in UTC when it names no zone. */
export function momentArgument(what: string, nowMs: () => number = Date.now): (text: string) => Date {
  return (text) => {
    if (/^\d+[a-z]+$/i.test(text)) return new Date(nowMs() - duration(text));
    const at = /^\d{4}-/.test(text) ? position(text) : undefined;
    if (at instanceof Date) return at;
    throw new UsageError(`${what} is how long ago (10m) or a time (2001-02-03T04:05:06Z), not "${text}"`);
  };
}

export function timestampOf(date: Date): Timestamp {
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1e6 };
}
