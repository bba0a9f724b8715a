import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseEvent } from './history.ts';
import { readHistory, Recorder } from './recorder.ts';

const folder = mkdtempSync(join(tmpdir(), 'partita-history-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a recorder', () => {
  it('keeps events in order, and a file of them reads back the same', () => {
    const path = join(folder, 'history.jsonl');
    const recorder = new Recorder({ path });
    const process = recorder.newProcess();
    const send = { f: 'send' as const, process, key: 't-0', value: 'p0-0', recordKey: 'k' };
    const op = recorder.invoke(send);
    for (let number = 0; number < 2000; number += 1) recorder.note({ f: 'crash', process: recorder.newProcess() });
    recorder.complete(op, 'ok', { ...send, offset: 7, epoch: 1 });
    recorder.close();
    expect(recorder.events).toHaveLength(2002);
    expect(recorder.events.at(-1)).toMatchObject({ op, type: 'ok', f: 'send', offset: 7, epoch: 1 });
    expect(readHistory(path)).toEqual(recorder.events);
    appendFileSync(path, '{"f":"se');
    expect(readHistory(path)).toEqual(recorder.events);
  });

  it('that is a journal has each event in its file at once, for whoever reads it after a kill', () => {
    const path = join(folder, 'journal.jsonl');
    const recorder = new Recorder({ path, isJournal: true });
    const op = recorder.invoke({ f: 'poll', process: 0 });
    expect(readHistory(path)).toEqual(recorder.events);
    recorder.complete(op, 'ok', { f: 'poll', process: 0 });
    expect(readHistory(path)).toHaveLength(2);
  });

  it('has no room beyond its bound, and still takes how open operations ended', () => {
    const recorder = new Recorder({ eventCountMax: 1 });
    expect(recorder.hasRoom).toBe(true);
    const told = { f: 'poll' as const, process: recorder.newProcess() };
    const op = recorder.invoke(told);
    expect(recorder.hasRoom).toBe(false);
    recorder.complete(op, 'fail', { ...told, error: 'gone' });
    expect(recorder.events).toHaveLength(2);
  });
});

describe('a line', () => {
  it('that is no event, lacks its moment, or has an offset beyond 2^53 is refused', () => {
    expect(() => parseEvent('{"f":"send"}')).toThrow('no event');
    expect(() => parseEvent('null')).toThrow('no event');
    expect(() => parseEvent('{"f":"crash","type":"ok","process":1}')).toThrow('without process');
    const beyond = '{"f":"send","type":"ok","process":1,"op":1,"tMonoMs":1,"value":"x","offset":9007199254740993}';
    expect(() => parseEvent(beyond)).toThrow('beyond 2^53');
  });
});
