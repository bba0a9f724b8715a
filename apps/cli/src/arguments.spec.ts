import { describe, expect, test } from 'vitest';
import { collect, duration, oneOf, position, wholeNumber } from './arguments.ts';

describe('a position', () => {
  test.each([
    ['earliest', 'earliest'],
    ['latest', 'latest'],
    ['0', 0n],
    ['9007199254740993', 9007199254740993n],
    ['-15m', { agoMs: 900_000 }],
    ['2001-02-03T04:05:06Z', new Date(Date.UTC(2001, 1, 3, 4, 5, 6))],
    ['2001-02-03T04:05:06+02:00', new Date(Date.UTC(2001, 1, 3, 2, 5, 6))],
    ['2001-02-03T04:05', new Date(Date.UTC(2001, 1, 3, 4, 5))],
    ['2001-02-03', new Date(Date.UTC(2001, 1, 3))],
  ])('%s', (text, expected) => {
    expect(position(text)).toEqual(expected);
  });

  test.each(['yesterday', '1.5', '-15', '2001-13-01', '01/02/2001', ''])('is not %s', (text) => {
    expect(() => position(text)).toThrow(/no position|unit|no duration/);
  });
});

test('a whole number is in its range, and plain digits', () => {
  const parse = wholeNumber('--max', 1, 10);
  expect(parse('10')).toBe(10);
  for (const text of ['0', '11', '-1', '1.5', '1e1', '', 'x'])
    expect(() => parse(text)).toThrow('--max is a whole number from 1 to 10');
});

test('a word that is nearly right is suggested', () => {
  expect(() => oneOf('--acks', ['all', 'leader'])('leadr')).toThrow('did you mean "leader"?');
});

test('a duration needs its unit', () => {
  expect(duration('10s')).toBe(10_000);
  expect(() => duration('10')).toThrow('no unit');
});

test('a repeated option is collected', () => {
  expect(collect('b', ['a'])).toEqual(['a', 'b']);
});
