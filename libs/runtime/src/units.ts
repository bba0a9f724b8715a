/**
 * Durations and sizes as people write them: a decimal number and a unit, no space (`10s`, `1.5MiB`). A number without a
 * unit is refused, because nobody remembers whether a bare 5000 was seconds or milliseconds.
 */
import { PartitaError } from '@partita/domain';

/** Milliseconds of each unit of time, longest first. */
const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ['d', 24 * 60 * 60 * 1000],
  ['h', 60 * 60 * 1000],
  ['m', 60 * 1000],
  ['s', 1000],
  ['ms', 1],
]);

/** Bytes of each binary unit, largest first: the units that `formatBytes` writes. */
const BINARY_UNITS: ReadonlyMap<string, number> = new Map([
  ['TiB', 1024 ** 4],
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
  ['B', 1],
]);

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ...BINARY_UNITS,
  ['TB', 1000 ** 4],
  ['GB', 1000 ** 3],
  ['MB', 1000 ** 2],
  ['kB', 1000],
  ['KB', 1000],
]);

const QUANTITY = /^(\d{1,16}(?:\.\d{1,16})?)([A-Za-z]*)$/;

/** Milliseconds of `10s`, `500ms`, `1.5m`, `1h`, `2d`. Throws INVALID_SETTING for anything else. */
export function parseDuration(text: string): number {
  return parseQuantity(text, DURATION_UNITS, {
    noun: 'duration',
    hint: 'ms, s, m, h, d, for example 10s',
    base: 'millisecond',
  });
}

/** Bytes of `64MiB`, `1KiB`, `100B`, or decimal `5MB`. Throws INVALID_SETTING for anything else. */
export function parseBytes(text: string): number {
  return parseQuantity(text, SIZE_UNITS, {
    noun: 'size',
    hint: 'B, KiB, MiB, GiB, TiB, kB, MB, GB, TB, for example 64MiB',
    base: 'byte',
  });
}

/** The shortest exact spelling of a duration: the longest unit that divides it. `parseDuration` reads it back. */
export function formatDuration(ms: number): string {
  return ms === 0 ? '0s' : formatQuantity(ms, DURATION_UNITS);
}

/** The shortest exact spelling of a size in binary units. `parseBytes` reads it back. */
export function formatBytes(bytes: number): string {
  return bytes === 0 ? '0B' : formatQuantity(bytes, BINARY_UNITS);
}

interface QuantityWords {
  readonly noun: string;
  readonly hint: string;
  readonly base: string;
}

function parseQuantity(text: string, units: ReadonlyMap<string, number>, words: QuantityWords): number {
  const match = QUANTITY.exec(text);
  const fault = (why: string) => new PartitaError('INVALID_SETTING', `"${text}" ${why}`, { value: text });
  if (match === null) throw fault(`is no ${words.noun}: write a number and one of ${words.hint}`);
  const [, number = '', unit = ''] = match;
  if (unit === '') throw fault(`has no unit: write a number and one of ${words.hint}`);
  const factor = units.get(unit);
  if (factor === undefined) throw fault(`has an unknown unit "${unit}": write one of ${words.hint}`);
  const product = Number(number) * factor;
  const whole = Math.round(product);
  // 1.1 * 1024 is no whole number of bytes, but 0.1 * 1000 must not fail for a rounding error in the last bit.
  if (Math.abs(product - whole) > 1e-6) throw fault(`is no whole number of ${words.base}s`);
  if (!Number.isSafeInteger(whole)) throw fault(`is too large: at most ${Number.MAX_SAFE_INTEGER} ${words.base}s`);
  return whole;
}

function formatQuantity(value: number, units: ReadonlyMap<string, number>): string {
  for (const [unit, factor] of units) if (value % factor === 0) return `${value / factor}${unit}`;
  throw new RangeError(`${value} is no whole number`);
}
