import type { AssignedPartition, ConsumeAssignment } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { commitOf, MemberHoldings } from './member-holdings.ts';

const at = (partition: number, assignmentEpoch: number, start = 0): AssignedPartition => ({
  topic: 't',
  partition,
  assignmentEpoch,
  startOffset: BigInt(start),
});
const assignment = (partitions: AssignedPartition[], revoking: AssignedPartition[] = []): ConsumeAssignment => ({
  memberEpoch: 9,
  groupEpoch: 9,
  partitions,
  revoking,
});
const keys = (holdings: readonly { readonly key: string }[]): string[] => holdings.map(({ key }) => key);

describe('the holdings of a member', () => {
  it('begin where the assignment says, once', () => {
    const holdings = new MemberHoldings();
    const { gained } = holdings.take(assignment([at(0, 2, 40), at(1, 2)]));
    expect(gained.map(({ key, next }) => [key, next])).toEqual([
      ['t-0', 40],
      ['t-1', 0],
    ]);
    expect(holdings.take(assignment([at(0, 2, 40), at(1, 2)])).gained).toEqual([]);
  });

  it('end when they are asked for, with what was processed', () => {
    const holdings = new MemberHoldings();
    holdings.take(assignment([at(0, 2), at(1, 2)]));
    holdings.at('t-1', 2)!.next = 7;
    const { asked, vanished } = holdings.take(assignment([at(0, 2), at(1, 2)], [at(1, 2)]));
    expect(asked.map(({ holding }) => holding && commitOf(holding))).toMatchObject([
      { partition: 1, nextOffset: 7n, assignmentEpoch: 2 },
    ]);
    expect(vanished).toEqual([]);
    expect(keys(holdings.all())).toEqual(['t-0']);
  });

  it('are asked for also where nothing had begun', () => {
    const { asked, gained } = new MemberHoldings().take(assignment([at(0, 2)], [at(0, 2)]));
    expect(asked).toEqual([{ assigned: at(0, 2), holding: undefined }]);
    expect(gained).toEqual([]);
  });

  it('vanish when they are gone and nobody had asked', () => {
    const holdings = new MemberHoldings();
    holdings.take(assignment([at(0, 2), at(1, 2)]));
    expect(keys(holdings.take(assignment([at(0, 2)])).vanished)).toEqual(['t-1']);
  });

  it('begin anew at another epoch, and have not vanished', () => {
    const holdings = new MemberHoldings();
    holdings.take(assignment([at(0, 2, 40)]));
    const { gained, vanished } = holdings.take(assignment([at(0, 5, 10)]));
    expect(gained.map(({ next }) => next)).toEqual([10]);
    expect(vanished).toEqual([]);
    expect(holdings.at('t-0', 2)).toBeUndefined();
  });
});
