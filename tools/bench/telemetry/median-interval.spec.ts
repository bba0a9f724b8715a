import { SeededRandom } from '@partita/testkit';
import { describe, expect, it } from 'vitest';
import { median } from '../rounds.ts';
import { medianInterval } from './median-interval.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('the interval of a median', () => {
  it.each([
    // From the tables of the sign test.
    [6, 1, 6, 0.969],
    [10, 2, 9, 0.979],
    [15, 4, 12, 0.965],
    [30, 10, 21, 0.957],
  ])('of %i values lies between number %i and number %i', (count, low, high, confidence) => {
    const interval = medianInterval(upTo(count).toReversed(), 0.95);
    expect(interval).toMatchObject({ low, high });
    expect(interval?.confidence).toBeCloseTo(confidence, 3);
  });

  it('is none of so few values that all of them do not tell', () => {
    for (const count of [0, 1, 2, 5]) expect(medianInterval(upTo(count), 0.95)).toBeUndefined();
  });

  it('holds the true median as often as it says, whatever the distribution', () => {
    const random = new SeededRandom(1);
    const draw = (): number => Math.exp(3 * (random.word() / 2 ** 32 - 0.5)) - 1;
    const samples = Array.from({ length: 2000 }, () => Array.from({ length: 15 }, draw));
    const held = samples.filter((values) => {
      const interval = medianInterval(values, 0.95);
      expect(median(values)).toBeGreaterThanOrEqual(interval?.low ?? Infinity);
      return interval !== undefined && interval.low <= 0 && 0 <= interval.high;
    });
    expect(held.length / samples.length).toBeGreaterThan(0.95);
    expect(held.length / samples.length).toBeLessThan(0.98);
  });
});
