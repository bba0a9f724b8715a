/** Correct runs are clean, and whatever is planted into one is found. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHistory } from './checker.ts';
import type { HistoryEvent, Placed } from './history.ts';
import { correctRun, STEP_KINDS } from './testing/correct-run.ts';

const step = fc.record({ kind: fc.constantFrom(...STEP_KINDS), who: fc.nat(20), what: fc.nat(40) });
const histories = fc.array(step, { maxLength: 80, size: 'max' }).map(correctRun);
const choice = fc.nat(10_000);
const RUNS = { numRuns: 200 };

type Acked = HistoryEvent & {
  readonly f: 'send';
  readonly value: string;
  readonly offset: number;
  readonly key: string;
};

function ackedOf(history: readonly HistoryEvent[]): Acked[] {
  return history.filter((event): event is Acked => event.f === 'send' && event.type === 'ok');
}

function namesOf(history: readonly HistoryEvent[]): string[] {
  return Object.keys(checkHistory(history).anomalies);
}

/** The history with the records of every poll changed; or only those of the polls that `which` accepts. */
function withRecords(
  history: readonly HistoryEvent[],
  change: (records: readonly Placed[], key: string) => readonly Placed[],
  which: (event: HistoryEvent) => boolean = () => true,
): HistoryEvent[] {
  return history.map((event) => {
    if (event.f !== 'poll' || event.records === undefined || !which(event)) return event;
    const records = Object.entries(event.records).map(([key, list]) => [key, change(list, key)] as const);
    return { ...event, records: Object.fromEntries(records) };
  });
}

/** The last poll of `t-0`: all of it, and the second of its kind. */
function lastReading(history: readonly HistoryEvent[]): HistoryEvent & { readonly f: 'poll' } {
  const poll = history.findLast((event) => event.f === 'poll' && event.records?.['t-0'] !== undefined);
  if (poll?.f !== 'poll') throw new Error('a run ends with readings');
  return poll;
}

describe('a correct run', () => {
  it('is clean', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const verdict = checkHistory(history);
        expect(verdict.anomalies).toEqual({});
        expect(verdict.unseenCount).toBe(0);
        expect(verdict.ackedCount).toBe(ackedOf(history).length);
      }),
      RUNS,
    );
  });
});

describe('planted into a correct run', () => {
  const holds = (property: (history: readonly HistoryEvent[], at: number) => void): void =>
    fc.assert(fc.property(histories, choice, property), RUNS);

  it('an acknowledged value that is dropped is found, as lost below others', () => {
    holds((history, at) => {
      const acked = ackedOf(history);
      const victim = acked[at % acked.length]!;
      const names = namesOf(withRecords(history, (records) => records.filter(([, value]) => value !== victim.value)));
      expect(names).toContain('unseen');
      const [end] = lastReading(history).records!['t-0']!.at(-1)!;
      if (victim.key === 't-0' && victim.offset < end) expect(names).toContain('lost-write');
    });
  });

  it('a value at another offset too is found', () => {
    holds((history, at) => {
      const acked = ackedOf(history);
      const { value } = acked[at % acked.length]!;
      const last = lastReading(history);
      const twice = withRecords(
        history,
        (records) => [...records, [9999, value]],
        (event) => event === last,
      );
      expect(namesOf(twice)).toEqual(['duplicate']);
    });
  });

  it('two values of one key that readers see swapped are found', () => {
    holds((history, at) => {
      const acked = ackedOf(history).filter(({ key }) => key === 't-0');
      const one = acked[at % acked.length]!;
      const other = acked[(at + 1) % acked.length]!;
      const swap = (value: string): string =>
        value === one.value ? other.value : value === other.value ? one.value : value;
      const swapped = withRecords(history, (records) => records.map(([offset, value]) => [offset, swap(value)]));
      const names = namesOf(swapped);
      expect(names).toContain('inconsistent-offsets');
      expect(names).toContain('duplicate');
    });
  });

  it('two sends of one process that swap their places, acknowledgements and all, are found', () => {
    holds((history, at) => {
      const tail = ackedOf(history).slice(-6);
      const first = tail[at % 5]!;
      const second = tail[(at % 5) + 1]!;
      const place = new Map([
        [first.value, second.offset],
        [second.value, first.offset],
      ]);
      const read = withRecords(history, (records) =>
        records
          .map(([offset, value]): Placed => [place.get(value) ?? offset, value])
          .sort(([one], [other]) => one - other),
      );
      const swapped = read.map((event) =>
        event.f === 'send' && event.type === 'ok' && typeof event.value === 'string' && place.has(event.value)
          ? { ...event, offset: place.get(event.value)! }
          : event,
      );
      expect(namesOf(swapped).sort()).toEqual(['key-order', 'nonmonotonic-send', 'offset-regress']);
    });
  });

  it('a value whose send failed, and is served, is found', () => {
    holds((history, at) => {
      const failed = history.filter((event) => event.f === 'send' && event.type === 'fail');
      const { value } = failed[at % failed.length] as Acked;
      const last = lastReading(history);
      const served = withRecords(
        history,
        (records) => [...records, [9999, value]],
        (event) => event === last,
      );
      expect(namesOf(served)).toEqual(['aborted-read']);
    });
  });

  it('an offset that rolls back is found', () => {
    holds((history, at) => {
      const tail = ackedOf(history).slice(-6);
      const before = tail[at % 5]!;
      const after = tail.at(-1)!;
      const rolled = history.map((event) => (event === after ? { ...after, offset: before.offset } : event));
      const names = namesOf(rolled);
      expect(names).toContain('offset-regress');
      expect(names).toContain('inconsistent-offsets');
    });
  });

  it('a value left out within a poll is found', () => {
    holds((history, at) => {
      const last = lastReading(history);
      const middle = 1 + (at % (last.records!['t-0']!.length - 2));
      const holed = withRecords(
        history,
        (records) => records.toSpliced(middle, 1),
        (event) => event === last,
      );
      expect(namesOf(holed)).toEqual(['int-poll-skip']);
    });
  });

  it('a poll that is given again is found', () => {
    holds((history) => {
      const last = lastReading(history);
      expect(namesOf([...history, { ...last, op: -1 }])).toEqual(['nonmonotonic-poll']);
    });
  });
});

describe('a long history', () => {
  it('of 100,000 operations is checked in seconds, not in hours', () => {
    const steps = Array.from({ length: 100_000 }, (_, number) => number);
    const events: HistoryEvent[] = [];
    const moment = (op: number): { process: number; op: number; tMonoMs: number } => ({
      process: op % 8,
      op,
      tMonoMs: op,
    });
    for (const number of steps) {
      const key = `t-${number % 16}`;
      const offset = Math.floor(number / 16);
      const send = { ...moment(2 * number), f: 'send' as const, key, value: `v${number}`, recordKey: key };
      events.push({ ...send, type: 'invoke' }, { ...send, type: 'ok', offset });
      if (number % 10 < 9) continue;
      const records = { [key]: [[offset, send.value] as const] };
      events.push({ ...moment(2 * number + 1), process: 100 + number, f: 'poll', type: 'ok', records });
    }
    const startMs = performance.now();
    const verdict = checkHistory(events);
    expect(performance.now() - startMs).toBeLessThan(15_000);
    expect(verdict.operationCount).toBe(100_000);
    expect(verdict.unseenCount).toBe(90_000);
  });
});
