import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  acknowledgedAreKept,
  airportsCompleteAndInOrder,
  everyRowArrived,
  inOrderOfSending,
  longestGapMs,
  noRowArrivedTwice,
  nothingChanged,
  oneMemberAtATime,
  onePartitionPerAirport,
  sameList,
} from './checks.ts';
import type { Arrival, Hold, Send, StoredRecord } from './checks.ts';
import { flightValue, readFlights } from './flights.ts';

const flights = readFlights().slice(0, 600);

/** A faultless delivery: the airport's first letter chooses the partition, two members share the partitions. */
function delivery(): Arrival[] {
  const offsets = new Map<number, number>();
  return flights.map((flight) => {
    const partition = flight.origin.charCodeAt(0) % 6;
    const offset = offsets.get(partition) ?? 0;
    offsets.set(partition, offset + 1);
    return {
      member: partition < 3 ? 'a' : 'b',
      partition,
      offset,
      row: flight.row,
      key: flight.origin,
      value: flightValue(flight),
      atMs: 1000 + flight.row,
    };
  });
}

const holds: Hold[] = [0, 1, 2, 3, 4, 5].map((partition) => ({
  member: partition < 3 ? 'a' : 'b',
  partition,
  fromMs: 1000,
  toMs: 2000,
}));

/** The claims that do not hold. */
function broken(arrivals: readonly Arrival[], held: readonly Hold[] = holds): string[] {
  return [
    everyRowArrived(flights, arrivals),
    noRowArrivedTwice(arrivals),
    nothingChanged(flights, arrivals),
    onePartitionPerAirport(arrivals),
    airportsCompleteAndInOrder(flights, arrivals),
    oneMemberAtATime(held, arrivals),
  ]
    .filter((check) => !check.holds)
    .map((check) => check.claim);
}

const ARRIVED = 'every flight arrived';
const ONCE = 'no flight arrived twice';
const UNCHANGED = 'every record is what was sent, key and value';
const ONE_PARTITION = "every airport's flights are in one partition";
const IN_ORDER = "every airport's flights are complete and in order";
const ONE_MEMBER = 'each partition was read by one member at a time';

describe('the checks', () => {
  it('hold for a faultless delivery, however the members are interleaved', () => {
    expect(broken(delivery())).toEqual([]);
    const byMember = delivery().toSorted((a, b) => a.member.localeCompare(b.member));
    expect(broken(byMember)).toEqual([]);
  });

  it('find any one lost record', () => {
    fc.assert(
      fc.property(fc.nat(flights.length - 1), (index) => {
        expect(broken(delivery().toSpliced(index, 1))).toEqual([ARRIVED, IN_ORDER]);
      }),
    );
  });

  it('find any one repeated record', () => {
    fc.assert(
      fc.property(fc.nat(flights.length - 1), (index) => {
        const arrivals = delivery();
        expect(broken([...arrivals, { ...arrivals[index]!, atMs: 1999 }])).toEqual([ONCE, IN_ORDER]);
      }),
    );
  });

  it('find any two swapped flights of one airport', () => {
    const arrivals = delivery();
    const pairs = arrivals.flatMap((first, index) => {
      const next = arrivals.findIndex((other, at) => at > index && other.key === first.key);
      return next < 0 ? [] : [[index, next] as const];
    });
    fc.assert(
      fc.property(fc.constantFrom(...pairs), ([first, next]) => {
        const swapped = delivery();
        const [a, b] = [swapped[first]!, swapped[next]!];
        swapped[first] = { ...b, atMs: a.atMs };
        swapped[next] = { ...a, atMs: b.atMs };
        expect(broken(swapped)).toEqual([IN_ORDER]);
      }),
    );
  });

  it('find a changed value and a foreign key', () => {
    const arrivals = delivery();
    expect(broken(arrivals.with(7, { ...arrivals[7]!, value: '{}' }))).toEqual([UNCHANGED]);
    expect(broken(arrivals.with(7, { ...arrivals[7]!, key: 'ZZZ' }))).toContain(UNCHANGED);
  });

  it('find an airport in two partitions', () => {
    const arrivals = delivery();
    const index = arrivals.findLastIndex((arrival) => arrival.key === arrivals[0]?.key);
    const partition = (arrivals[index]!.partition + 1) % 3;
    expect(broken(arrivals.with(index, { ...arrivals[index]!, partition }))).toContain(ONE_PARTITION);
  });

  it('find a partition that two members hold at once, and a record from a partition not held', () => {
    expect(broken(delivery(), [...holds, { member: 'b', partition: 0, fromMs: 1999, toMs: 2100 }])).toEqual([
      ONE_MEMBER,
    ]);
    expect(broken(delivery(), holds.slice(1))).toEqual([ONE_MEMBER]);
    expect(broken(delivery(), [...holds, { member: 'b', partition: 0, fromMs: 2000, toMs: 2100 }])).toEqual([]);
  });

  it('name the first counter-example', () => {
    expect(everyRowArrived(flights, delivery().slice(0, -2)).detail).toBe('2 lost, the first is row 598');
    const { detail } = airportsCompleteAndInOrder(flights, delivery().slice(1));
    expect(detail).toMatch(/^1 airports are wrong; DTW at flight 1: row 0 expected, \d+ received$/);
  });

  it('compare lists by content', () => {
    expect(sameList('means', [{ a: 1 }], [{ a: 1 }]).holds).toBe(true);
    expect(sameList('means', [1, 2], [2, 1])).toEqual({
      claim: 'means',
      holds: false,
      detail: 'expected [1,2], computed [2,1]',
    });
  });
});

describe('the checks after a kill', () => {
  const records: StoredRecord[] = flights.slice(0, 100).map(({ row, origin }) => ({
    number: row,
    key: origin,
    partition: row % 2,
    offset: BigInt(row),
  }));
  const sends: Send[] = records.map(({ number, key, partition, offset }) => ({
    number,
    key,
    partition,
    outcome: { offset, leaderEpoch: 1 },
    atMs: number,
  }));

  it('hold when each acknowledged record is in its place, in order', () => {
    expect(acknowledgedAreKept('with its leader', sends, records)).toMatchObject({
      holds: true,
      detail: '100 acknowledged, all there',
    });
    expect(inOrderOfSending(records).holds).toBe(true);
  });

  it('find any lost record that was acknowledged, and let one in doubt be lost', () => {
    fc.assert(
      fc.property(fc.nat(99), (index) => {
        const left = records.toSpliced(index, 1);
        expect(acknowledgedAreKept('with its leader', sends, left).detail).toBe(`1 lost, the first is number ${index}`);
        expect(
          acknowledgedAreKept('with its leader', sends.with(index, { ...sends[index]!, outcome: 'unknown' }), left)
            .holds,
        ).toBe(true);
      }),
    );
  });

  it('find another record in the place of an acknowledged one', () => {
    const swapped = records.with(3, { ...records[3]!, number: 200 });
    expect(acknowledgedAreKept('with its leader', sends, swapped).holds).toBe(false);
  });

  it('do not hold when nothing was acknowledged', () => {
    expect(acknowledgedAreKept('with its leader', [], records)).toMatchObject({
      holds: false,
      detail: 'nothing was acknowledged',
    });
  });

  it('find a record stored twice, and two of a key that changed places', () => {
    expect(inOrderOfSending([...records, records[0]!]).holds).toBe(false);
    const [first, second] = records.filter(({ key }) => key === records[0]?.key);
    const order = records.map((record) => (record === first ? second! : record === second ? first! : record));
    expect(inOrderOfSending(order).holds).toBe(false);
  });

  it('measure the longest time between two acknowledgements, in whatever order they come', () => {
    expect(longestGapMs([10, 50, 20])).toBe(30);
    expect([longestGapMs([]), longestGapMs([5])]).toEqual([0, 0]);
  });
});
