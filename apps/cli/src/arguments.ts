/** Arguments as people write them, parsed or refused with the way to write them. */
import type { Position } from '@partita/client';
import { OFFSET_MAX, PartitaError } from '@partita/domain';
import { nearest, parseDuration } from '@partita/runtime';
import { UsageError } from './exit-code.ts';

const RFC_3339 = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/** A whole number within bounds. */
export function wholeNumber(what: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,16}$/.test(text) && value >= min && value <= max) return value;
    throw new UsageError(`${what} is a whole number from ${min} to ${max}, not "${text}"`);
  };
}

const BROKER_ID_MAX = 2 ** 31 - 1;

/** Id of a broker. */
export function brokerId(what: string): (text: string) => number {
  return wholeNumber(what, 1, BROKER_ID_MAX);
}

/** One of some words. */
export function oneOf<Word extends string>(what: string, words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    const meant = nearest(text, words);
    throw new UsageError(
      `${what} is ${words.join(', ')}, not "${text}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`,
    );
  };
}

/** `10s` in milliseconds. */
export function duration(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new UsageError(error instanceof PartitaError ? error.message : String(error));
  }
}

/** `earliest`, `latest`, an offset, a time, or how long ago (`-15m`). */
export function position(text: string): Position {
  if (text === 'earliest' || text === 'latest') return text;
  if (/^\d+$/.test(text)) return BigInt(text);
  if (text.startsWith('-')) return { agoMs: duration(text.slice(1)) };
  // A date without a zone is UTC, as all times here are.
  const zoned = /(Z|[+-]\d{2}:\d{2})$/.test(text) || !/[T ]/.test(text) ? text : `${text}Z`;
  const time = new Date(zoned);
  if (RFC_3339.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new UsageError(
    `"${text}" is no position: write earliest, latest, an offset, a time (2001-02-03T04:05:06Z) or how long ago (-15m)`,
  );
}

/** An offset. */
export function offsetArgument(what: string): (text: string) => bigint {
  return (text) => {
    if (/^\d{1,19}$/.test(text) && BigInt(text) <= OFFSET_MAX) return BigInt(text);
    throw new UsageError(`${what} is an offset from 0 to ${OFFSET_MAX}, not "${text}"`);
  };
}

/** Collects a repeated option. */
export function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}
