import { recordBytes } from '@partita/batch';
import { describe, expect, it } from 'vitest';
import { exactOrders } from '../loads/order-pool.ts';
import { packedShare } from './packed-share.ts';

describe('the records of the produce bench', () => {
  it.each([64, 100, 128, 159, 160, 161, 1024, 10 * 1024, 20_000, 2 ** 20])('have %i bytes to the byte', (bytes) => {
    for (const order of exactOrders(bytes, 3)) expect(recordBytes(order)).toBe(bytes);
  });

  it('pack like text, and not at all without a codec', () => {
    expect(packedShare({ codec: 'none', recordBytes: 1024 })).toBeCloseTo(1, 1);
    const [zstd, lz4, gzip] = (['zstd', 'lz4', 'gzip'] as const).map((codec) =>
      packedShare({ codec, recordBytes: 1024 }),
    );
    expect(zstd).toBeGreaterThan(0.1);
    expect(gzip).toBeLessThan(0.6);
    expect(lz4).toBeGreaterThan(zstd ?? 1);
  });
});
