import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ByteBucket } from './byte-bucket.ts';

interface Going {
  readonly atMs: number;
  readonly bytes: number;
}

const loads = (bytesMax: number) =>
  fc.array(fc.record({ gapMs: fc.integer({ min: 0, max: 700 }), bytes: fc.integer({ min: 1, max: bytesMax }) }), {
    minLength: 1,
    maxLength: 60,
  });

/** When each load goes if all of them wait for their turn. */
function schedule(rate: number, steps: readonly { readonly gapMs: number; readonly bytes: number }[]): Going[] {
  const bucket = new ByteBucket(rate, 0);
  let nowMs = 0;
  return steps.map(({ gapMs, bytes }) => {
    nowMs += gapMs;
    const atMs = nowMs + bucket.waitMs(bytes, nowMs);
    bucket.take(bytes, nowMs);
    return { atMs, bytes };
  });
}

/** The most that went in any window, beyond what the rate allows in its time. */
function excess(rate: number, going: readonly Going[]): number {
  let most = 0;
  for (const first of going) {
    for (const last of going) {
      if (last.atMs < first.atMs) continue;
      const inside = going.filter(({ atMs }) => atMs >= first.atMs && atMs <= last.atMs);
      const bytes = inside.reduce((sum, one) => sum + one.bytes, 0);
      most = Math.max(most, bytes - (rate * (last.atMs - first.atMs)) / 1000);
    }
  }
  return most;
}

it("lets through at most the rate and one second's worth over any window", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1024, max: 5000 }), loads(1024), (rate, steps) => {
      expect(excess(rate, schedule(rate, steps))).toBeLessThanOrEqual(rate + 0.01);
    }),
    { numRuns: 200 },
  );
});

it("lets what is larger than a second's worth through by itself, and at the rate in the long run", () => {
  fc.assert(
    fc.property(loads(20_000), (steps) => {
      const largest = Math.max(...steps.map(({ bytes }) => bytes));
      expect(excess(1024, schedule(1024, steps))).toBeLessThanOrEqual(Math.max(1024, largest) + 0.01);
    }),
    { numRuns: 200 },
  );
});

it('keeps nobody waiting who stays within the rate', () => {
  const bucket = new ByteBucket(1000, 0);
  for (let nowMs = 0; nowMs < 10_000; nowMs += 100) {
    expect(bucket.waitMs(100, nowMs)).toBe(0);
    bucket.take(100, nowMs);
  }
});

it('tells how long is to be waited, exactly', () => {
  const bucket = new ByteBucket(1000, 0);
  bucket.take(1000, 0);
  expect(bucket.waitMs(250, 0)).toBe(250);
  expect(bucket.waitMs(250, 100)).toBe(150);
  expect(bucket.waitMs(250, 250)).toBe(0);
  expect([bucket.isFull(999), bucket.isFull(1000)]).toEqual([false, true]);
});

it('goes on with what is owed when the rate changes, and saves no more than the new second', () => {
  const bucket = new ByteBucket(10_000, 0);
  bucket.setRate(1000, 0);
  expect(bucket.waitMs(1000, 0)).toBe(0);
  bucket.take(2000, 0);
  bucket.setRate(2000, 0);
  expect(bucket.waitMs(2000, 0)).toBe(1500);
});
