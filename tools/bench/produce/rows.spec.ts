import { describe, expect, it } from 'vitest';
import { PRODUCE_ROWS, RAW } from './rows.ts';
import type { ProduceSettings } from './settings.ts';

describe('the rows of the produce bench', () => {
  it('are sixteen, each with a name of its own', () => {
    expect(new Set(PRODUCE_ROWS.map(({ name }) => name)).size).toBe(16);
  });

  it('differ in one thing from what they are measured against', () => {
    for (const { name, measured, against } of PRODUCE_ROWS) {
      if (against === RAW) continue;
      const keys = Object.keys(measured) as (keyof ProduceSettings)[];
      expect(
        keys.filter((key) => measured[key] !== against[key]),
        name,
      ).toHaveLength(1);
    }
  });

  it('have every value of every setting that matters', () => {
    const values = (key: keyof ProduceSettings) => new Set(PRODUCE_ROWS.map(({ measured }) => measured[key]));
    expect(values('delivery')).toEqual(new Set(['records', 'batches', 'direct']));
    expect(values('recordBytes')).toEqual(new Set([100, 1024, 10240]));
    expect(values('partitionCount')).toEqual(new Set([1, 6, 64]));
    expect(values('acks')).toEqual(new Set(['all', 'leader']));
    expect(values('flush')).toEqual(new Set(['fsync', 'os']));
    expect(values('replicationFactor')).toEqual(new Set([1, 3]));
    expect(values('codec')).toEqual(new Set(['none', 'zstd', 'lz4', 'gzip']));
  });
});
