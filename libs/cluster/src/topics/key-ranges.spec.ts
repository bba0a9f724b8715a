import fc from 'fast-check';
import { expect, it } from 'vitest';
import { evenKeyRanges } from './key-ranges.ts';

it('covers the hash space once, with parts that differ by at most one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), (count) => {
      const ranges = evenKeyRanges(count);
      const sizes = ranges.map(({ hashMin, hashMax }) => hashMax - hashMin + 1);
      expect(ranges).toHaveLength(count);
      expect(ranges.map(({ hashMin }) => hashMin)).toEqual([
        0,
        ...ranges.slice(0, -1).map(({ hashMax }) => hashMax + 1),
      ]);
      expect(ranges.at(-1)?.hashMax).toBe(2 ** 32 - 1);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
    { numRuns: 50 },
  );
});
