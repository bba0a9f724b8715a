import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyOffsets } from './key-offsets.ts';

const MIB = 1024 * 1024;

describe('KeyOffsets', () => {
  it('answers what a map answers, for keys of any length anywhere in a buffer', () => {
    const key = fc.oneof(
      { weight: 8, arbitrary: fc.uint8Array({ maxLength: 3 }) },
      { weight: 4, arbitrary: fc.uint8Array({ minLength: 28, maxLength: 40 }) },
      {
        weight: 1,
        arbitrary: fc.integer({ min: 30_000, max: 140_000 }).map((length) => new Uint8Array(length).fill(length)),
      },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.nat(7)), { maxLength: 200, size: 'max' }), fc.nat(), (entries, seed) => {
        const offsets = new KeyOffsets(64 * MIB, seed);
        const model = new Map<string, number>();
        const placed = (bytes: Uint8Array, before: number) =>
          Buffer.concat([Buffer.alloc(before, 9), bytes, Buffer.alloc(3, 9)]);
        entries.forEach(([bytes, before], offset) => {
          offsets.set(placed(bytes, before), before, before + bytes.length, offset);
          model.set(Buffer.from(bytes).toString('latin1'), offset);
        });
        expect(offsets.count).toBe(model.size);
        for (const [bytes, before] of entries) {
          const found = offsets.get(placed(bytes, before), before, before + bytes.length);
          expect(found).toBe(model.get(Buffer.from(bytes).toString('latin1')));
        }
        expect(offsets.get(Buffer.from('absent key'), 0, 10)).toBe(-1);
      }),
      { numRuns: 50 },
    );
  });

  it('tells keys apart whose hashes are the same', () => {
    // 300,000 random keys have about ten pairs with one 32-bit hash.
    const count = 300_000;
    const bytes = Buffer.alloc(8 * count);
    let random = 1;
    for (let at = 0; at < bytes.length; at += 4) {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      bytes.writeUInt32LE((random ^ (random >>> 15)) >>> 0, at);
    }
    const offsets = new KeyOffsets(256 * MIB, 1);
    for (let number = 0; number < count; number += 1) offsets.set(bytes, 8 * number, 8 * number + 8, number);
    expect(offsets.count).toBe(count);
    let wrong = 0;
    for (let number = 0; number < count; number += 1) {
      if (offsets.get(bytes, 8 * number, 8 * number + 8) !== number) wrong += 1;
    }
    expect(wrong).toBe(0);
  });

  it('keeps offsets of distances beyond 32 bits exact', () => {
    const offsets = new KeyOffsets(MIB, 1);
    offsets.set(Buffer.from('k'), 0, 1, Number.MAX_SAFE_INTEGER);
    expect(offsets.get(Buffer.from('k'), 0, 1)).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('stays within its memory as long as it says that keys fit, and uses most of it', () => {
    for (const keyBytes of [1, 20, 40_000, 66_000]) {
      const bytesMax = 8 * MIB;
      const offsets = new KeyOffsets(bytesMax, 3);
      const bytes = Buffer.alloc(keyBytes + 4);
      let number = 0;
      // While a table grows, old and new are in memory together.
      let peak = 0;
      while (offsets.fits(10, 10 * bytes.length)) {
        for (let count = 0; count < 10; count += 1) {
          const before = offsets.bytes;
          bytes.writeUInt32LE(number, 0);
          offsets.set(bytes, 0, bytes.length, number);
          number += 1;
          peak = Math.max(peak, offsets.bytes, offsets.bytes > before ? before + (offsets.bytes - before) * 1.5 : 0);
        }
      }
      expect(peak).toBeLessThanOrEqual(bytesMax);
      expect(offsets.bytes).toBeGreaterThan(bytesMax * 0.3);
    }
  });
});
