/** What the tour claims, held against what arrived. Pure: flights, arrivals and holds in, checks out. */
import type { SentRecord } from '@partita/client';
import { flightValue } from './flights.ts';
import type { Flight } from './flights.ts';

/** A claim, whether it held, and the figure or the first counter-example. */
export interface Check {
  readonly claim: string;
  readonly holds: boolean;
  readonly detail: string;
}

/** A record as one member received it. */
export interface Arrival {
  readonly member: string;
  readonly partition: number;
  readonly offset: number;
  /** From the record's header. */
  readonly row: number;
  readonly key: string;
  readonly value: string;
  /** When the member had it: wall clock of this machine, milliseconds with a fraction. */
  readonly atMs: number;
}

/** A partition in the hands of a member, from when it was told so until it gave it up. Times as in Arrival. */
export interface Hold {
  readonly member: string;
  readonly partition: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** A record sent while a broker was killed, and what became of it. */
export interface Send {
  /** Place in the order of sending, from 0. */
  readonly number: number;
  readonly key: string;
  readonly partition: number;
  outcome: Pick<SentRecord, 'offset' | 'leaderEpoch'> | 'under way' | 'unknown' | 'refused';
  /** When the outcome was known. As in Arrival. */
  atMs: number;
}

/** A record as it was read afterwards; those of one partition by offset. */
export interface StoredRecord {
  /** From the record's header. */
  readonly number: number;
  readonly key: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** Arrivals of all members in the order of time. Stable: what one member received stays in its order. */
export function inTimeOrder(arrivals: readonly Arrival[]): Arrival[] {
  return arrivals.toSorted((a, b) => a.atMs - b.atMs);
}

export function everyRowArrived(flights: readonly Flight[], arrivals: readonly Arrival[]): Check {
  const rows = new Set(arrivals.map((arrival) => arrival.row));
  const lost = flights.filter((flight) => !rows.has(flight.row));
  return check('every flight arrived', lost.length === 0, {
    yes: `${flights.length} of ${flights.length}`,
    no: `${lost.length} lost, the first is row ${lost[0]?.row ?? 0}`,
  });
}

export function noRowArrivedTwice(arrivals: readonly Arrival[]): Check {
  const seen = new Set<number>();
  const repeated = arrivals.filter((arrival) => seen.size === seen.add(arrival.row).size);
  return check('no flight arrived twice', repeated.length === 0, {
    yes: `${arrivals.length} records, ${seen.size} rows`,
    no: `${repeated.length} repeated, the first is row ${repeated[0]?.row ?? 0} at ${place(repeated[0])}`,
  });
}

export function nothingChanged(flights: readonly Flight[], arrivals: readonly Arrival[]): Check {
  const changed = arrivals.filter((arrival) => {
    const flight = flights[arrival.row];
    return flight === undefined || arrival.key !== flight.origin || arrival.value !== flightValue(flight);
  });
  return check('every record is what was sent, key and value', changed.length === 0, {
    yes: `${arrivals.length} compared`,
    no: `${changed.length} differ, the first is row ${changed[0]?.row ?? 0} at ${place(changed[0])}`,
  });
}

export function onePartitionPerAirport(arrivals: readonly Arrival[]): Check {
  const partitions = new Map<string, number>();
  const strays = arrivals.filter(({ key, partition }) => {
    const first = partitions.get(key) ?? partition;
    partitions.set(key, first);
    return first !== partition;
  });
  return check("every airport's flights are in one partition", strays.length === 0, {
    yes: `${partitions.size} airports`,
    no: `${strays.length} strays, the first is ${strays[0]?.key ?? ''} at ${place(strays[0])}`,
  });
}

/** Exactly the rows of the file, in its order, per airport: one lost, repeated or swapped breaks it. */
export function airportsCompleteAndInOrder(flights: readonly Flight[], arrivals: readonly Arrival[]): Check {
  const expected = rowsByAirport(flights.map(({ origin, row }) => ({ key: origin, row })));
  const received = rowsByAirport(inTimeOrder(arrivals));
  const wrong = [...new Set([...expected.keys(), ...received.keys()])].filter(
    (airport) => firstDifference(expected.get(airport) ?? [], received.get(airport) ?? []) !== undefined,
  );
  const airport = wrong[0] ?? '';
  const index = firstDifference(expected.get(airport) ?? [], received.get(airport) ?? []) ?? 0;
  return check("every airport's flights are complete and in order", wrong.length === 0, {
    yes: `${expected.size} airports`,
    no:
      `${wrong.length} airports are wrong; ${airport} at flight ${index + 1}: ` +
      `row ${expected.get(airport)?.[index] ?? 'none'} expected, ${received.get(airport)?.[index] ?? 'none'} received`,
  });
}

/** No two members hold a partition at the same time, and nobody receives from a partition that it does not hold. */
export function oneMemberAtATime(holds: readonly Hold[], arrivals: readonly Arrival[]): Check {
  const shared = holds.filter((hold, index) =>
    holds.slice(index + 1).some((other) => other.partition === hold.partition && overlap(hold, other)),
  );
  const foreign = arrivals.filter(
    ({ member, partition, atMs }) =>
      !holds.some(
        (hold) => hold.member === member && hold.partition === partition && hold.fromMs <= atMs && atMs <= hold.toMs,
      ),
  );
  const read = new Set(arrivals.map((arrival) => arrival.partition)).size;
  return check('each partition was read by one member at a time', shared.length === 0 && foreign.length === 0, {
    yes: `${read} partitions`,
    no:
      shared.length > 0
        ? `partition ${shared[0]?.partition ?? 0} was held by two members at once`
        : `${foreign.length} records from partitions not held, the first at ${place(foreign[0])}`,
  });
}

/** Each acknowledged record lies where its acknowledgement says. `what` is what they went through: `with its leader`. */
export function acknowledgedAreKept(what: string, sends: readonly Send[], stored: readonly StoredRecord[]): Check {
  const places = new Map(stored.map((record) => [`${record.partition}/${record.offset}`, record]));
  const acked = sends.filter(({ outcome }) => typeof outcome === 'object');
  const lost = acked.filter(({ number, key, partition, outcome }) => {
    const found = typeof outcome === 'object' ? places.get(`${partition}/${outcome.offset}`) : undefined;
    return found?.number !== number || found.key !== key;
  });
  return check(`no acknowledged record was lost ${what}`, acked.length > 0 && lost.length === 0, {
    yes: `${acked.length} acknowledged, all there`,
    no:
      acked.length === 0
        ? 'nothing was acknowledged'
        : `${lost.length} lost, the first is number ${lost[0]?.number ?? 0}`,
  });
}

/** Also finds a record that was stored twice. */
export function inOrderOfSending(stored: readonly StoredRecord[]): Check {
  const last = new Map<string, number>();
  const wrong = stored.filter(({ key, number }) => {
    const before = last.get(key) ?? -1;
    last.set(key, number);
    return number <= before;
  });
  return check('the records of every key are in the order of sending, none twice', wrong.length === 0, {
    yes: `${stored.length} records, ${last.size} keys`,
    no: `${wrong.length} are not, the first is number ${wrong[0]?.number ?? 0} of ${wrong[0]?.key ?? ''}`,
  });
}

/** The longest time between two neighbours, 0 when there are fewer than two. In any order. */
export function longestGapMs(timesMs: readonly number[]): number {
  const sorted = timesMs.toSorted((a, b) => a - b);
  return sorted.reduce((longest, atMs, index) => Math.max(longest, atMs - (sorted[index - 1] ?? atMs)), 0);
}

/** Whether two lists of the same shape are equal, told as a check. */
export function sameList<T>(claim: string, expected: readonly T[], received: readonly T[]): Check {
  const texts = [expected, received].map((list) => JSON.stringify(list));
  return check(claim, texts[0] === texts[1], {
    yes: `${expected.length} compared`,
    no: `expected ${texts[0] ?? ''}, computed ${texts[1] ?? ''}`,
  });
}

export function check(claim: string, holds: boolean, detail: { readonly yes: string; readonly no: string }): Check {
  return { claim, holds, detail: holds ? detail.yes : detail.no };
}

function rowsByAirport(entries: readonly { readonly key: string; readonly row: number }[]): Map<string, number[]> {
  const rows = new Map<string, number[]>();
  for (const { key, row } of entries) {
    const list = rows.get(key);
    if (list === undefined) rows.set(key, [row]);
    else list.push(row);
  }
  return rows;
}

function firstDifference(expected: readonly number[], received: readonly number[]): number | undefined {
  const length = Math.max(expected.length, received.length);
  for (let index = 0; index < length; index += 1) if (expected[index] !== received[index]) return index;
  return undefined;
}

function overlap(a: Hold, b: Hold): boolean {
  return a.fromMs < b.toMs && b.fromMs < a.toMs;
}

function place(arrival: Arrival | undefined): string {
  return arrival === undefined ? 'nowhere' : `partition ${arrival.partition}, offset ${arrival.offset}`;
}
