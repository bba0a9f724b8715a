import fc from 'fast-check';
import { expect, it } from 'vitest';
import { committedEnd } from './high-watermark.ts';

const view = fc.record({
  inSyncEnds: fc.array(fc.bigInt({ min: 0n, max: 50n }), { minLength: 1, maxLength: 5 }),
  ownEnd: fc.bigInt({ min: 0n, max: 50n }),
  minInSyncReplicas: fc.integer({ min: 1, max: 5 }),
  epochStartOffset: fc.bigInt({ min: 0n, max: 50n }),
  highWatermark: fc.bigInt({ min: 0n, max: 50n }),
});

it('never falls, and moves only to what m in-sync replicas hold, the leader among them, beyond the start of the epoch', () => {
  fc.assert(
    fc.property(view, (given) => {
      const end = committedEnd(given);
      expect(end).toBeGreaterThanOrEqual(given.highWatermark);
      if (end === given.highWatermark) return;
      const holders = given.inSyncEnds.filter((held) => held >= end);
      expect(holders.length).toBeGreaterThanOrEqual(given.minInSyncReplicas);
      expect(given.ownEnd).toBeGreaterThanOrEqual(end);
      expect(end).toBeGreaterThan(given.epochStartOffset);
    }),
  );
});

it('stays while only the records of earlier epochs are held', () => {
  const given = { inSyncEnds: [5n, 5n], ownEnd: 6n, minInSyncReplicas: 2, epochStartOffset: 5n, highWatermark: 3n };
  expect(committedEnd(given)).toBe(3n);
  expect(committedEnd({ ...given, inSyncEnds: [6n, 6n] })).toBe(6n);
});
