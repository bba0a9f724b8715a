import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PRODUCER_COUNT_MAX, PRODUCER_EXPIRY_MS, PRODUCER_WINDOW_COUNT } from './limits.ts';
import { isProducerId, producerIdTimeMs } from './producer-id.ts';
import { ProducerTable } from './producer-table.ts';

const DAY = BigInt(PRODUCER_EXPIRY_MS);

function sequence(producerId: string, firstSequence: bigint, producerEpoch = 0) {
  return { producerId, producerEpoch, firstSequence, lastSequence: firstSequence, recordsCrc: 7 };
}

describe('a table of producer sessions', () => {
  it('remembers the last batches of the newest epoch', () => {
    const table = new ProducerTable();
    for (let number = 0n; number < 8n; number += 1n) table.note(sequence('a', number), number, 100n + number);
    const { batches = [] } = table.find('a', 107n) ?? {};
    expect(batches.map(({ baseOffset }) => baseOffset)).toEqual([3n, 4n, 5n, 6n, 7n]);
    expect(batches).toHaveLength(PRODUCER_WINDOW_COUNT);
    table.note(sequence('a', 0n, 1), 8n, 108n);
    expect(table.find('a', 108n)).toMatchObject({ producerEpoch: 1, batches: [{ firstSequence: 0n, baseOffset: 8n }] });
  });

  it('knows a session for a day after its last batch, and begins it anew after that', () => {
    const table = new ProducerTable();
    table.note(sequence('a', 0n), 0n, 0n);
    table.note(sequence('b', 0n), 1n, 1n);
    table.note(sequence('a', 1n), 2n, 5n);
    expect(table.entries(5n + DAY).map(({ producerId }) => producerId)).toEqual(['a']);
    expect(table.find('a', 5n + DAY)).toBeDefined();
    expect(table.find('a', 6n + DAY)).toBeUndefined();
    table.note(sequence('a', 2n), 3n, 6n + DAY);
    expect(table.find('a', 6n + DAY)?.batches.map(({ baseOffset }) => baseOffset)).toEqual([3n]);
  });

  it('is full until a session expires, and looking at a later time forgets nothing', () => {
    const table = new ProducerTable();
    for (let number = 0; number < PRODUCER_COUNT_MAX; number += 1) {
      expect(table.isFull(0n)).toBe(false);
      table.note(sequence(`p${number}`, 0n), BigInt(number), BigInt(number));
    }
    expect(table.isFull(DAY)).toBe(true);
    expect(table.isFull(DAY + 1n)).toBe(false);
    expect(table.isFull(DAY)).toBe(true);
    table.note(sequence('late', 0n), 10_000n, DAY + 1n);
    expect(table.entries(DAY + 1n)).toHaveLength(PRODUCER_COUNT_MAX);
  });

  it('is the same when it is made of its entries half-way', () => {
    const batch = fc.record({
      id: fc.constantFrom('a', 'b', 'c'),
      epoch: fc.nat(2),
      gapMs: fc.nat(PRODUCER_EXPIRY_MS),
    });
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 30 }), fc.nat(30), (batches, at) => {
        const whole = new ProducerTable();
        let half = new ProducerTable();
        let nowMs = 0n;
        batches.forEach(({ id, epoch, gapMs }, number) => {
          if (number === at) half = new ProducerTable(half.facts(nowMs));
          nowMs += BigInt(gapMs);
          for (const table of [whole, half]) table.note(sequence(id, BigInt(number), epoch), BigInt(number), nowMs);
        });
        expect(half.entries(nowMs)).toEqual(whole.entries(nowMs));
      }),
    );
  });
});

describe('a producer id', () => {
  it('is a UUID of version 7, which tells when it was made', () => {
    expect(isProducerId('019a0000000170008000000000000001')).toBe(true);
    expect(producerIdTimeMs('019a0000000170008000000000000001')).toBe(0x019a00000001n);
    for (const other of ['019a0000000140008000000000000001', '019a0000000170000000000000000001', '07'.repeat(16)]) {
      expect(isProducerId(other)).toBe(false);
    }
  });
});
