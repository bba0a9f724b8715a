import type { SendOptions } from '@partita/client';
import { describe, expect, it } from 'vitest';
import { mergedPercentiles } from '../latencies.ts';
import { spreadAtRate } from './spread-loads.ts';

describe('a load spread over partitions', () => {
  it('gives each as many records, and counts the first ones of each out of the latency', async () => {
    const sent = new Map<number, number>();
    let isClosed = false;
    const source = {
      producer: () => ({
        send: async (_topic: string, records: readonly unknown[], { partition = -1 }: SendOptions): Promise<void> => {
          const before = sent.get(partition) ?? 0;
          sent.set(partition, before + records.length);
          // What opens a partition takes long.
          await new Promise((resolve) => setTimeout(resolve, before === 0 ? 500 : 2));
        },
        close: async () => {
          isClosed = true;
          await Promise.resolve();
        },
      }),
    };
    const sample = await spreadAtRate(source, 't', 0.2, { partitionCount: 10, ratePerSecond: 200 });
    expect([...sent.keys()].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...sent.values()]).toEqual(Array.from({ length: 10 }, () => 5));
    expect(sample.recordCount).toBe(50);
    expect(mergedPercentiles([sample.latencies ?? '']).p50).toBeLessThan(400);
    expect(isClosed).toBe(true);
  });
});
