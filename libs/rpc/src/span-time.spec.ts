import { afterEach, expect, test, vi } from 'vitest';
import { spanTimeMs } from './span-time.ts';

afterEach(() => vi.restoreAllMocks());

test('times of spans are those of the wall clock, with fractions, and keep the order of the monotonic clock', () => {
  const startMs = performance.now();
  const times = [spanTimeMs(startMs), spanTimeMs(startMs + 0.25), spanTimeMs(startMs + 0.5)];
  expect(Math.abs((times[0] ?? 0) - Date.now())).toBeLessThan(50);
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeCloseTo(0.25, 2);
  expect((times[2] ?? 0) - (times[1] ?? 0)).toBeCloseTo(0.25, 2);
});

test.each([-3_600_000, 3_600_000])(
  'a wall clock that was set by %i ms since the process began is followed',
  (stepMs) => {
    const before = spanTimeMs();
    const wall = Date.now;
    vi.spyOn(Date, 'now').mockImplementation(() => wall() + stepMs);
    expect(Math.abs(spanTimeMs() - before - stepMs)).toBeLessThan(100);
  },
);
