import { describe, expect, it } from 'vitest';
import { checkHistory } from './checker.ts';
import { mergeHistories } from './merged-history.ts';
import { Recorder } from './recorder.ts';

function recorders(count: number, clock: { nowMs: number }): Recorder[] {
  return Array.from({ length: count }, () => new Recorder({ nowMs: () => clock.nowMs }));
}

describe('a merged history', () => {
  it('is in the order of time, with each operation whole and its own', () => {
    const clock = { nowMs: 1 };
    const [writer, reader] = recorders(2, clock) as [Recorder, Recorder];
    const sent = { f: 'send' as const, process: 0, key: 'a', value: 'x' };
    const op = writer.invoke(sent);
    clock.nowMs = 2;
    const poll = reader.invoke({ f: 'poll', process: 1 });
    clock.nowMs = 3;
    writer.complete(op, 'ok', { ...sent, offset: 0 });
    clock.nowMs = 4;
    reader.complete(poll, 'ok', { f: 'poll', process: 1, records: { a: [[0, 'x']] } });
    const merged = mergeHistories([reader.events, writer.events]);
    expect(merged.map(({ f, type }) => `${f} ${type}`)).toEqual(['send invoke', 'poll invoke', 'send ok', 'poll ok']);
    expect(new Set(merged.map(({ op: number }) => number)).size).toBe(2);
    expect(checkHistory(merged)).toMatchObject({ anomalies: {}, operationCount: 2, ackedCount: 1, readCount: 1 });
  });

  it('takes what happened in one moment of two processes for overlapping', () => {
    const clock = { nowMs: 1 };
    const [one, other] = recorders(2, clock) as [Recorder, Recorder];
    const first = { f: 'send' as const, process: 0, key: 'a', value: 'x' };
    const op = one.invoke(first);
    clock.nowMs = 2;
    one.complete(op, 'ok', { ...first, offset: 1 });
    const second = { f: 'send' as const, process: 1, key: 'a', value: 'y' };
    const otherOp = other.invoke(second);
    clock.nowMs = 3;
    other.complete(otherOp, 'ok', { ...second, offset: 0 });
    expect(Object.keys(checkHistory(mergeHistories([one.events, other.events])).anomalies)).toEqual(['unseen']);
  });
});
