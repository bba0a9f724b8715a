import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, parseBytes, parseDuration } from './units.ts';

describe('durations', () => {
  it.each([
    ['10s', 10_000],
    ['500ms', 500],
    ['1m', 60_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['1.5s', 1500],
    ['0.1s', 100],
    ['0s', 0],
  ])('reads %s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each([
    ['5', '"5" has no unit: write a number and one of ms, s, m, h, d, for example 10s'],
    ['', '"" is no duration: write a number and one of ms, s, m, h, d, for example 10s'],
    ['-1s', '"-1s" is no duration'],
    ['1 s', '"1 s" is no duration'],
    ['5x', '"5x" has an unknown unit "x": write one of ms, s, m, h, d'],
    ['1.5ms', '"1.5ms" is no whole number of milliseconds'],
    ['9999999999999999d', '"9999999999999999d" is too large'],
  ])('refuses %j', (text, message) => expect(() => parseDuration(text)).toThrow(message));

  it('writes what it reads', () => {
    expect(formatDuration(90_000)).toBe('90s');
    fc.assert(fc.property(fc.nat(), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});

describe('sizes', () => {
  it.each([
    ['100B', 100],
    ['1KiB', 1024],
    ['64MiB', 67_108_864],
    ['1.5MiB', 1_572_864],
    ['1TiB', 1024 ** 4],
    ['5MB', 5_000_000],
    ['2kB', 2000],
    ['2KB', 2000],
  ])('reads %s', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each([
    ['64', '"64" has no unit'],
    ['64mib', '"64mib" has an unknown unit "mib"'],
    ['1.1KiB', '"1.1KiB" is no whole number of bytes'],
  ])('refuses %j', (text, message) => expect(() => parseBytes(text)).toThrow(message));

  it('writes what it reads', () => {
    expect(formatBytes(64 * 1024 ** 2)).toBe('64MiB');
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseBytes(formatBytes(bytes)) === bytes));
  });
});
