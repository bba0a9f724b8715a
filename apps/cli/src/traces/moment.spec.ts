import { describe, expect, it } from 'vitest';
import { UsageError } from '../exit-code.ts';
import { momentArgument, timestampOf } from './moment.ts';

const parse = momentArgument('--since', () => Date.UTC(2001, 1, 3, 4, 5, 6));

describe('a moment', () => {
  it.each([
    ['10m', '2001-02-03T03:55:06.000Z'],
    ['1500ms', '2001-02-03T04:05:04.500Z'],
    ['2001-02-03', '2001-02-03T00:00:00.000Z'],
    ['2001-02-03T04:05:06.5Z', '2001-02-03T04:05:06.500Z'],
    ['2001-02-03T04:05:06+01:00', '2001-02-03T03:05:06.000Z'],
  ])('written %s is %s', (text, time) => expect(parse(text).toISOString()).toBe(time));

  it.each(['', 'yesterday', '10', '-10m', '10 parsecs', '2001-13-01', 'latest', '5'])('is not written "%s"', (text) => {
    expect(() => parse(text)).toThrow(UsageError);
  });

  it('is sent in whole seconds and nanoseconds, before 1970 too', () => {
    expect(timestampOf(new Date(1_500))).toEqual({ seconds: 1n, nanos: 500_000_000 });
    expect(timestampOf(new Date(-500))).toEqual({ seconds: -1n, nanos: 500_000_000 });
  });
});
