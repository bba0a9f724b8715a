import { describe, expect, it } from 'vitest';
import { latencyRate } from './rate.ts';

describe('the rate at which latencies are measured', () => {
  it('is half of what the reference reached, for all that can keep up with it', () => {
    expect(latencyRate(100_000, 100_000)).toBe(50_000);
    expect(latencyRate(300_000, 100_000)).toBe(50_000);
    expect(latencyRate(62_500, 100_000)).toBe(50_000);
  });

  it('is half of what a slower system reached itself', () => {
    expect(latencyRate(62_400, 100_000)).toBe(31_200);
    expect(latencyRate(10_000, 100_000)).toBe(5000);
    expect(latencyRate(0, 100_000)).toBe(1);
  });
});
