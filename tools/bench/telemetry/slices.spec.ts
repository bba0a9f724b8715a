import { SeededRandom } from '@partita/testkit';
import { describe, expect, it } from 'vitest';
import { runPairs, sliceFigures } from './slices.ts';
import type { Slice } from './servers.ts';
import { shares } from './telemetry-bench.ts';

function slice(cpuMsPerRecord: number): Slice {
  const recordCount = 100;
  const half = (cpuMsPerRecord * recordCount) / 2;
  return { recordCount, durationMs: 5000, clientCpuMs: half, servicesCpuMs: half, consoleCpuMs: 7 };
}

describe('the slices of a row', () => {
  it('come in pairs of both sides, in an order that the seed decides', async () => {
    const orderOf = async (seed: number): Promise<string> => {
      let order = '';
      const run = (side: string) => () => {
        order += side;
        return Promise.resolve(slice(1));
      };
      await runPairs(20, new SeededRandom(seed), { measured: run('m'), against: run('a') });
      return order;
    };
    const order = await orderOf(1);
    expect(order).toMatch(/^(ma|am){20}$/);
    expect(new Set(order.match(/../g)).size).toBe(2);
    expect(await orderOf(1)).toBe(order);
    expect(await orderOf(2)).not.toBe(order);
  });

  it('are compared within their pair, as CPU time for each record at both ends', () => {
    // The machine slows down by half in the middle: no pair is hurt.
    const pairs = [1, 1, 1, 2, 2, 2].map((mood) => ({ measured: slice(1.1 * mood), against: slice(mood) }));
    const figures = sliceFigures([pairs.slice(0, 4), pairs.slice(4), []]);
    expect(figures.pairCount).toBe(6);
    expect(figures.ratio).toBeCloseTo(1.1);
    expect(figures.byLaunch.map((ratio) => ratio.toFixed(2))).toEqual(['1.10', '1.10']);
    expect(figures.interval?.low).toBeCloseTo(1.1);
    expect(figures.against).toMatchObject({ client: 750, services: 750, console: 70 });
  });

  it('take more CPU time at whichever end, and the ratio tells', () => {
    const against = slice(1);
    expect(sliceFigures([[{ measured: { ...against, clientCpuMs: 60 }, against }]]).ratio).toBeCloseTo(1.1);
    expect(sliceFigures([[{ measured: { ...against, servicesCpuMs: 60 }, against }]]).ratio).toBeCloseTo(1.1);
    expect(sliceFigures([[{ measured: { ...against, consoleCpuMs: 60 }, against }]]).ratio).toBe(1);
  });

  it('are shared out over the starts of the clusters, none without a pair', () => {
    expect(shares(15, 3)).toEqual([5, 5, 5]);
    expect(shares(8, 3)).toEqual([3, 3, 2]);
    expect(shares(2, 3)).toEqual([1, 1]);
  });
});
