import { describe, expect, it } from 'vitest';
import { checkHistory } from './checker.ts';
import { ScriptedHistory } from './testing/scripted-history.ts';

const history = (): ScriptedHistory => new ScriptedHistory();
const request = { requestId: 'r' };

describe('a good history of requests', () => {
  it('answers every repeat with the first place, however late', () => {
    const script = history()
      .send('x', 0, request)
      .send('y', 1)
      .poll([[0, 'x']])
      .send('x', 0, request);
    script.send('x', 0, { requestId: 'r', process: 7 });
    expect(script.poll([[1, 'y']]).names).toEqual([]);
  });

  it('may store it by a repeat, when the first send was refused or its outcome is unknown', () => {
    const script = history().fail('x', request).send('x', 0, request);
    script.info('y', { requestId: 'q' }).send('y', 1, { requestId: 'q' });
    script.poll([
      [0, 'x'],
      [1, 'y'],
    ]);
    expect(script.names).toEqual([]);
    expect(checkHistory(script.events)).toMatchObject({ ackedCount: 2, failedCount: 1, unknownCount: 1 });
  });

  it('may refuse a repeat of one that is stored', () => {
    const script = history().send('x', 0, request).fail('x', request);
    expect(script.poll([[0, 'x']]).names).toEqual([]);
  });

  it('may be stored in another order than sent, as a repeat goes another way', () => {
    const script = history().send('x', -1, { ...request, recordKey: 'k' });
    script.send('y', -1, { requestId: 'q', recordKey: 'k' });
    script.poll([
      [0, 'y'],
      [1, 'x'],
    ]);
    expect(script.names).toEqual([]);
  });

  it('has several records of one request in a row', () => {
    const script = history().send(['x', 'y'], [0, 1], request).send(['x', 'y'], [0, 1], request);
    script.poll([
      [0, 'x'],
      [1, 'y'],
    ]);
    expect(script.names).toEqual([]);
  });
});

describe('of requests', () => {
  it('request-doubled: a second copy, whether or not it was acknowledged', () => {
    const script = history().send('x', 0, request).info('x', request);
    script.poll([
      [0, 'x'],
      [1, 'x'],
    ]);
    expect(script.names).toEqual(['duplicate', 'request-doubled']);
  });

  it('request-doubled: also of one that nobody acknowledged', () => {
    const script = history().info('x', request).info('x', request);
    script.poll([
      [0, 'x'],
      [1, 'x'],
    ]);
    expect(script.names).toEqual(['duplicate', 'request-doubled']);
  });

  it('request-answers: a repeat that was acknowledged elsewhere', () => {
    const script = history().send('x', 0, request).send('x', 1, request);
    expect(script.poll([[0, 'x']]).names).toEqual(['duplicate', 'request-answers']);
  });

  it('request-lost: acknowledged, and nobody got it', () => {
    const script = history().info('x', request).send('x', 0, request);
    expect(script.poll([]).names).toEqual(['request-lost', 'unseen']);
  });

  it('aborted-read: every send of it was refused, and it is there', () => {
    const script = history().fail('x', request).fail('x', request);
    expect(script.poll([[0, 'x']]).names).toEqual(['aborted-read']);
  });

  it('offset-regress: the first send is held to what was known, only repeats are not', () => {
    const script = history().send('y', 3).send('x', 1, request);
    script.poll([
      [1, 'x'],
      [3, 'y'],
    ]);
    expect(script.names).toContain('offset-regress');
  });
});
