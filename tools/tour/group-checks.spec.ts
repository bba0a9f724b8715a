import { describe, expect, it } from 'vitest';
import type { Arrival, Send } from './checks.ts';
import { everySendArrived, onlyMovedWhatMust } from './group-checks.ts';
import { pausesOf } from './pauses.ts';

const arrival = (member: string, partition: number, row: number, atMs: number): Arrival => ({
  ...{ member, partition, row, atMs },
  ...{ offset: row, key: 'JFK', value: '' },
});
const acked = (number: number): Send => ({
  ...{ number, key: 'JFK', partition: 0, atMs: 0 },
  outcome: { offset: BigInt(number), leaderEpoch: 1 },
});
const assignment = (shares: Record<string, number[]>): Map<string, number[]> => new Map(Object.entries(shares));
const times = { fromMs: 1000, settledMs: 1100, toMs: 2000 };

describe('a group that grows', () => {
  const change = { ...times, before: assignment({ a: [0, 1] }), after: assignment({ a: [0], b: [1] }) };

  it('shows how long partitions stood still, those that moved and the others', () => {
    const at = (partition: number, ...atMs: number[]) => atMs.map((ms, row) => arrival('a', partition, row, ms));
    const arrivals = [...at(0, 100, 990, 1010, 1050, 5000), ...at(1, 980, 1020, 1320, 1330)];
    expect(pausesOf(change, arrivals)).toEqual({ moved: [300], others: [40] });
  });

  it('moves what the new member needs and nothing else', () => {
    expect(onlyMovedWhatMust([change], 2).holds).toBe(true);
    const swapped = { ...change, after: assignment({ a: [1], b: [0] }) };
    expect(onlyMovedWhatMust([change, swapped], 2).holds).toBe(true);
    const needless = { ...times, before: assignment({ a: [0], b: [1] }), after: assignment({ a: [1], b: [0] }) };
    expect(onlyMovedWhatMust([change, needless], 2)).toMatchObject({
      holds: false,
      detail: '1 moved, 1 had to; 2 moved, 0 had to',
    });
  });
});

describe('the records sent meanwhile', () => {
  it('have all arrived when each was acknowledged and seen, once or more often', () => {
    const arrivals = [arrival('a', 0, 1, 1), arrival('b', 0, 1, 2), arrival('b', 0, 2, 3)];
    const doubtful: Send = { ...acked(3), outcome: 'unknown' };
    expect(everySendArrived([acked(1), acked(2), doubtful], arrivals).holds).toBe(true);
  });

  it('are told when one was skipped, and when none was acknowledged', () => {
    expect(everySendArrived([acked(1), acked(2)], [arrival('a', 0, 1, 1)])).toMatchObject({
      holds: false,
      detail: '1 skipped, the first is number 2',
    });
    expect(everySendArrived([], []).holds).toBe(false);
  });
});
