import { MemoryDisk } from '@partita/testkit';
import { COMPACTION_PASS_COUNT_MAX } from '@partita/domain';
import { crc32c } from '@partita/batch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  cutState,
  decodeCompactionState,
  encodeCompactionState,
  NEVER_COMPACTED,
  readCompactionState,
  tombstonesEndBelow,
  withPass,
} from './compaction-state.ts';

const int64 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
const arbitraryState = fc.record({
  cleanedTo: int64,
  passes: fc.array(fc.record({ cleanedTo: int64, atMs: int64 }), { maxLength: COMPACTION_PASS_COUNT_MAX, size: 'max' }),
  pending: fc.array(fc.array(int64, { minLength: 1, maxLength: 20 }), { maxLength: 10 }),
});

describe('the compaction file', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(arbitraryState, (state) => {
        expect(decodeCompactionState(encodeCompactionState(state))).toEqual(state);
      }),
    );
  });

  it('is damaged when any bit changed or bytes are missing', async () => {
    const bytes = encodeCompactionState({ cleanedTo: 7n, passes: [{ cleanedTo: 7n, atMs: 3n }], pending: [[1n, 2n]] });
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeCompactionState(changed)).toBeUndefined();
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeCompactionState(bytes.subarray(0, length))).toBeUndefined();
    }
    const disk = new MemoryDisk();
    await disk.makeDirectory('/p');
    expect(await readCompactionState(disk, '/p')).toEqual(NEVER_COMPACTED);
    await disk.writeFileAtomically('/p/compaction', bytes.subarray(1));
    await expect(readCompactionState(disk, '/p')).rejects.toMatchObject({ reason: 'STORAGE_FAILED' });
  });

  it('refuses a newer version instead of taking it for damage', () => {
    const bytes = encodeCompactionState(NEVER_COMPACTED);
    bytes.writeUInt32LE(2, 4);
    bytes.writeUInt32LE(crc32c(bytes.subarray(0, bytes.length - 4)), bytes.length - 4);
    expect(() => decodeCompactionState(bytes)).toThrow('format version 2');
  });
});

describe('withPass', () => {
  it('never lets a tombstone go before its delay, whatever is forgotten and however the clock goes', () => {
    const steps = fc.array(fc.record({ offsets: fc.nat(5), ms: fc.integer({ min: -200, max: 400 }) }), {
      maxLength: 300,
      size: 'max',
    });
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 20_000 }), (plan, delay) => {
        const delayMs = BigInt(delay);
        const all: { cleanedTo: bigint; atMs: bigint }[] = [];
        let state = NEVER_COMPACTED;
        let nowMs = 1_000_000n;
        for (const { offsets, ms } of plan) {
          nowMs += BigInt(ms);
          const cleanedTo = state.cleanedTo + BigInt(offsets);
          all.push({ cleanedTo, atMs: nowMs });
          state = withPass(state, cleanedTo, nowMs, delayMs);
          expect(state.cleanedTo).toBe(cleanedTo);
          expect(state.passes.length).toBeLessThanOrEqual(COMPACTION_PASS_COUNT_MAX);
          const exact = all.reduce(
            (end, pass) => (pass.atMs <= nowMs - delayMs && pass.cleanedTo > end ? pass.cleanedTo : end),
            0n,
          );
          expect(tombstonesEndBelow(state, nowMs, delayMs)).toBeLessThanOrEqual(exact);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('lets every tombstone go soon after its delay, however many passes there were', () => {
    const delayMs = 24n * 3_600_000n;
    let state = NEVER_COMPACTED;
    let behindMax = 0n;
    // A pass every minute for four days, each cleaning one offset.
    for (let minute = 1n; minute < 4n * 1440n; minute += 1n) {
      const nowMs = minute * 60_000n;
      state = withPass(state, minute, nowMs, delayMs);
      const behind = minute - 1440n - tombstonesEndBelow(state, nowMs, delayMs);
      if (behind > behindMax) behindMax = behind;
    }
    expect(behindMax).toBeGreaterThan(0n);
    expect(behindMax).toBeLessThan(60n);
  });

  it('keeps the time at which the log became clean when a later pass found nothing new', () => {
    const once = withPass(NEVER_COMPACTED, 5n, 100n, 10n);
    expect(withPass(once, 5n, 900n, 10n)).toEqual(once);
    expect([tombstonesEndBelow(once, 109n, 10n), tombstonesEndBelow(once, 110n, 10n)]).toEqual([0n, 5n]);
    expect(() => withPass(once, 4n, 900n, 10n)).toThrow('stays so');
  });

  it('takes a pass for no older than the one before, even when the clock was set back for a while', () => {
    const before = withPass(NEVER_COMPACTED, 5n, 1000n, 10n);
    const setBack = withPass(before, 9n, 20n, 10n);
    expect(tombstonesEndBelow(setBack, 1009n, 10n)).toBe(0n);
    expect(tombstonesEndBelow(setBack, 1010n, 10n)).toBe(9n);
  });
});

it('a cut lowers what is clean, and keeps since when what is left has been', () => {
  const passes = [
    { cleanedTo: 40n, atMs: 1n },
    { cleanedTo: 100n, atMs: 2n },
    { cleanedTo: 120n, atMs: 3n },
  ];
  const state = { cleanedTo: 120n, passes, pending: [] };
  expect(cutState(state, 120n)).toBe(state);
  expect(cutState(state, 60n)).toEqual({
    cleanedTo: 60n,
    passes: [
      { cleanedTo: 40n, atMs: 1n },
      { cleanedTo: 60n, atMs: 2n },
    ],
    pending: [],
  });
  expect(cutState(state, 40n).passes).toEqual([{ cleanedTo: 40n, atMs: 1n }]);
  expect(cutState(state, 0n)).toEqual({ cleanedTo: 0n, passes: [], pending: [] });
});
