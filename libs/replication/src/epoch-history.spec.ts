import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commonEnd, divergence, withEpoch } from './epoch-history.ts';
import type { EpochStart, LogShape } from './epoch-history.ts';

/** The shape of a log whose record at each offset has the epoch given. */
function shapeOf(epochs: readonly number[]): LogShape {
  const history: EpochStart[] = [];
  epochs.forEach((epoch, offset) => {
    if (history.at(-1)?.epoch !== epoch) history.push({ epoch, startOffset: BigInt(offset), unclean: false });
  });
  return { history, logEnd: BigInt(epochs.length) };
}

const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);

/** Two logs as the protocol can make them: equal up to a point, then of epochs that only one of them has. */
const pair = fc
  .record({
    prefix: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 12 }).map(sorted),
    continued: fc.nat({ max: 4 }),
    one: fc
      .array(
        fc.integer({ min: 3, max: 9 }).map((n) => n * 2),
        { maxLength: 8 },
      )
      .map(sorted),
    other: fc
      .array(
        fc.integer({ min: 3, max: 9 }).map((n) => n * 2 + 1),
        { maxLength: 8 },
      )
      .map(sorted),
  })
  .map(({ prefix, continued, one, other }) => {
    const last = prefix.at(-1);
    const more = last === undefined ? [] : new Array<number>(continued).fill(last);
    return {
      common: prefix.length,
      one: [...prefix, ...more, ...one],
      other: [...prefix, ...other],
      isFork: other.length > 0,
    };
  });

describe('commonEnd', () => {
  it('is where two logs part, for all logs that the protocol can make', () => {
    fc.assert(
      fc.property(pair, ({ one, other }) => {
        let equal = 0;
        while (equal < Math.min(one.length, other.length) && one[equal] === other[equal]) equal += 1;
        expect(commonEnd(shapeOf(one), shapeOf(other))).toBe(BigInt(equal));
        expect(commonEnd(shapeOf(other), shapeOf(one))).toBe(BigInt(equal));
      }),
    );
  });

  it('is 0 for logs without a common epoch', () => {
    expect(commonEnd(shapeOf([1, 1]), shapeOf([2, 2, 2]))).toBe(0n);
    expect(commonEnd(shapeOf([]), shapeOf([2]))).toBe(0n);
  });
});

describe('divergence', () => {
  it('is told exactly when what was read is no prefix of the log', () => {
    fc.assert(
      fc.property(pair, fc.nat({ max: 20 }), ({ one, other }, read) => {
        const offset = Math.min(read, other.length);
        const epoch = other[offset - 1];
        fc.pre(epoch !== undefined && one.length > 0 && one[0] === other[0]);
        const isPrefix = other.slice(0, offset).every((value, index) => value === one[index]);
        const at = divergence(shapeOf(one), epoch, BigInt(offset));
        expect(at === undefined).toBe(isPrefix);
        if (at !== undefined) expect(at).toBeLessThan(BigInt(offset));
      }),
    );
  });
});

describe('withEpoch', () => {
  it('refuses an epoch that does not grow', () => {
    const history = withEpoch([], { epoch: 2, startOffset: 4n, unclean: false });
    expect(() => withEpoch(history, { epoch: 2, startOffset: 9n, unclean: false })).toThrow('does not follow');
    expect(() => withEpoch(history, { epoch: 3, startOffset: 4n, unclean: false })).toThrow('does not follow');
  });
});
