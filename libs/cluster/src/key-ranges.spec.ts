import fc from 'fast-check';
import { expect, it } from 'vitest';
import { coversHashSpace, evenKeyRanges } from './key-ranges.ts';

it('covers the hash space once, with parts that differ by at most one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), (count) => {
      const ranges = evenKeyRanges(count);
      const sizes = ranges.map(({ hashMin, hashMax }) => hashMax - hashMin + 1);
      expect(ranges).toHaveLength(count);
      expect(coversHashSpace(ranges)).toBe(true);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
    { numRuns: 50 },
  );
});

it('sees gaps, overlaps and a missing end', () => {
  expect(coversHashSpace([{ hashMin: 0, hashMax: 2 ** 32 - 1 }])).toBe(true);
  expect(coversHashSpace([])).toBe(false);
  expect(coversHashSpace([{ hashMin: 0, hashMax: 2 ** 32 - 2 }])).toBe(false);
  expect(
    coversHashSpace([
      { hashMin: 0, hashMax: 9 },
      { hashMin: 11, hashMax: 2 ** 32 - 1 },
    ]),
  ).toBe(false);
  expect(
    coversHashSpace([
      { hashMin: 0, hashMax: 9 },
      { hashMin: 9, hashMax: 2 ** 32 - 1 },
    ]),
  ).toBe(false);
});
