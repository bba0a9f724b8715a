import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';
import { shortCrc32c } from './short-crc32c.ts';

describe('the CRC-32C of a few bytes', () => {
  it('is that of the standard', () => {
    expect(shortCrc32c(Buffer.from('123456789'), 0, 9, 0)).toBe(0xe3069283);
    expect(shortCrc32c(Buffer.alloc(0), 0, 0, 0)).toBe(0);
  });

  it('is what the native one answers, wherever the bytes stand and whatever came before them', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(300),
        fc.nat(300),
        fc.nat(0xffffffff),
        (bytes, a, b, seed) => {
          const from = Math.min(a, b, bytes.length);
          const to = Math.min(Math.max(a, b), bytes.length);
          expect(shortCrc32c(bytes, from, to, seed)).toBe(crc32c(bytes.subarray(from, to), seed));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
