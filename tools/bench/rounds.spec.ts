import { describe, expect, it } from 'vitest';
import { Latencies, mergedPercentiles } from './latencies.ts';
import { figuresOf, median, runRounds } from './rounds.ts';
import type { Sample } from './sample.ts';

function sample(bytes: number): Sample {
  return { recordCount: bytes / 10, bytes, durationMs: 1000 };
}

describe('rounds', () => {
  it('run ours and raw in turn, and throw the first pair away', async () => {
    const calls: string[] = [];
    const side =
      (name: string) =>
      async (warmUp: boolean): Promise<Sample> => {
        calls.push(warmUp ? `${name} warm-up` : name);
        return sample(calls.length);
      };
    const pairs = await runRounds(2, { ours: side('ours'), raw: side('raw') });
    expect(calls).toEqual(['ours warm-up', 'raw warm-up', 'ours', 'raw', 'ours', 'raw']);
    expect(pairs.map(({ ours, raw }) => [ours.bytes, raw.bytes])).toEqual([
      [3, 4],
      [5, 6],
    ]);
  });

  it('give the median of the ratios of the pairs, not the ratio of the medians', () => {
    const pairs = [
      { ours: sample(100), raw: sample(1000) },
      { ours: sample(300), raw: sample(600) },
      { ours: sample(50), raw: sample(200) },
    ];
    const { ours, raw, ratio } = figuresOf(pairs);
    expect([ours.bytesPerSecond, raw.bytesPerSecond, ours.recordsPerSecond]).toEqual([100, 600, 10]);
    expect(ratio).toEqual({ median: 0.25, lowest: 0.1, highest: 0.5 });
    expect(ours.latencyMs).toBeUndefined();
  });

  it('take the mean of the middle two when their number is even', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(() => median([])).toThrow('nothing');
  });
});

describe('latencies', () => {
  it('are merged over the rounds before the percentiles are taken', () => {
    const [fast, slow] = [new Latencies(), new Latencies()];
    for (let call = 0; call < 99; call += 1) fast.record(performance.now() - 1);
    slow.record(performance.now() - 500);
    const { p50, p99, p999 } = mergedPercentiles([fast.encode(), slow.encode()]);
    expect(p50).toBeLessThan(100);
    expect(p99).toBeLessThan(400);
    expect(p999).toBeGreaterThanOrEqual(499);
  });
});
