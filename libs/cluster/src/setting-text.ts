/** Values of settings for people: the largest unit that divides the number, so that nothing is rounded. */

const DURATIONS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

const SIZES = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;

/** What a setting is counted in. */
export type SettingUnit = 'count' | 'duration' | 'bytes' | 'bytes_per_second' | 'word';

/** `604800000` of a duration is `7d`, `1048576` bytes are `1MiB`. */
export function formatSetting(unit: SettingUnit, value: number): string {
  switch (unit) {
    case 'duration':
      return inUnits(value, DURATIONS, value === 0 ? 's' : 'ms');
    case 'bytes':
      return inUnits(value, SIZES, 'B');
    case 'bytes_per_second':
      return `${inUnits(value, SIZES, 'B')}/s`;
    case 'count':
    case 'word':
      return String(value);
  }
}

function inUnits(value: number, units: readonly (readonly [string, number])[], smallest: string): string {
  const fitting = units.find(([, size]) => value !== 0 && value % size === 0);
  return fitting === undefined ? `${value}${smallest}` : `${value / fitting[1]}${fitting[0]}`;
}
