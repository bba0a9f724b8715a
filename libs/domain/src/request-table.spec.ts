import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PRODUCER_COUNT_MAX, REQUEST_COUNT_MAX, REQUEST_EXPIRY_MS, REQUEST_PRODUCER_EPOCH } from './limits.ts';
import { ProducerTable } from './producer-table.ts';
import { RequestTable } from './request-table.ts';
import type { RequestEntry } from './request-table.ts';

const EXPIRY = BigInt(REQUEST_EXPIRY_MS);

function idOf(number: number): string {
  return number.toString(16).padStart(32, '0');
}

function request(number: number, appendTimeMs: bigint, recordCount = 1): RequestEntry {
  return { requestId: idOf(number), recordCount, baseOffset: BigInt(number) * 3n, appendTimeMs };
}

describe('a table of requests', () => {
  it('remembers a request for its time, with its place and its number of records', () => {
    const table = new RequestTable();
    expect(table.find(idOf(1), 0n)).toBeUndefined();
    table.note(request(1, 100n, 7));
    table.note(request(2, 200n));
    expect(table.find(idOf(1), 100n + EXPIRY)).toEqual(request(1, 100n, 7));
    expect(table.find(idOf(1), 101n + EXPIRY)).toBeUndefined();
    expect(table.find(idOf(2), 101n + EXPIRY)).toEqual(request(2, 200n));
    expect(table.entries(101n + EXPIRY)).toEqual([request(2, 200n)]);
    expect([table.count(100n + EXPIRY), table.count(101n + EXPIRY)]).toEqual([2, 1]);
    expect([table.firstOffsetAfter(99n), table.firstOffsetAfter(100n), table.firstOffsetAfter(200n)]).toEqual([
      3n,
      6n,
      undefined,
    ]);
  });

  it('holds what a plain list of the requests that have not expired holds, also when it is made of rows half-way', () => {
    const step = fc.record({ id: fc.nat(40), gapMs: fc.oneof(fc.constant(0), fc.nat(REQUEST_EXPIRY_MS / 8)) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: 'max' }), fc.nat(200), (steps, at) => {
        const whole = new RequestTable();
        let half = new RequestTable();
        let right: RequestEntry[] = [];
        let nowMs = 0n;
        steps.forEach(({ id, gapMs }, number) => {
          nowMs += BigInt(gapMs);
          if (number === at) half = new RequestTable(half.rows(nowMs));
          right = right.filter(({ appendTimeMs }) => nowMs - appendTimeMs <= EXPIRY);
          const known = right.find(({ requestId }) => requestId === idOf(id));
          for (const table of [whole, half]) {
            expect(table.find(idOf(id), nowMs)).toEqual(known);
            if (known === undefined) table.note(request(id, nowMs, number));
          }
          if (known === undefined) right.push(request(id, nowMs, number));
        });
        expect(whole.entries(nowMs)).toEqual(right);
        expect(half.rows(nowMs)).toEqual(whole.rows(nowMs));
      }),
    );
  });

  it('is full until a request expires, and holds on to each until then', () => {
    const table = new RequestTable();
    for (let number = 0; number < REQUEST_COUNT_MAX; number += 1) {
      if (number % 1000 === 0) expect(table.isFull(0n)).toBe(false);
      table.note(request(number, BigInt(number)));
    }
    expect([table.isFull(EXPIRY), table.isFull(EXPIRY + 1n), table.isFull(EXPIRY)]).toEqual([true, false, true]);
    for (let number = 0; number < REQUEST_COUNT_MAX; number += 777) {
      expect(table.find(idOf(number), EXPIRY)?.baseOffset).toBe(BigInt(number) * 3n);
    }
    expect(table.rows(EXPIRY).length).toBe(REQUEST_COUNT_MAX * 36);
  });

  it('neither takes the room of sessions nor gives them its own', () => {
    const table = new ProducerTable();
    const note = (number: number, producerEpoch: number): void => {
      const sequence = { producerId: idOf(number), producerEpoch, firstSequence: 0n, lastSequence: 2n, recordsCrc: 1 };
      table.note(sequence, BigInt(number), 0n);
    };
    for (let number = 0; number < PRODUCER_COUNT_MAX; number += 1) note(number, 0);
    expect([table.isFull(0n), table.requests.isFull(0n), table.requests.count(0n)]).toEqual([true, false, 0]);
    for (let number = 0; number < REQUEST_COUNT_MAX; number += 1) note(number, REQUEST_PRODUCER_EPOCH);
    expect([table.requests.isFull(0n), table.entries(0n).length]).toEqual([true, PRODUCER_COUNT_MAX]);
    expect(table.find(idOf(1), 0n)?.producerEpoch).toBe(0);
    expect(table.requests.find(idOf(1), 0n)).toMatchObject({ recordCount: 3, baseOffset: 1n });
  });
});
