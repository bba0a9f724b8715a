import { describe, expect, it } from 'vitest';
import { ScriptedHistory } from './testing/scripted-history.ts';

const history = (): ScriptedHistory => new ScriptedHistory();
const session = { session: 's' };

describe('a good history of a producer session', () => {
  it('has its records in the order of the sends, those of unknown outcome too', () => {
    const script = history().send('x', 0, session).info('y', session).send('z', 4, session);
    script.poll([
      [0, 'x'],
      [2, 'y'],
      [4, 'z'],
    ]);
    expect(script.names).toEqual([]);
  });

  it('may have refused records that are not there, between those that are', () => {
    const script = history().send('x', 0, session).fail('y', session).send('z', 1, session);
    expect(
      script.poll([
        [0, 'x'],
        [1, 'z'],
      ]).names,
    ).toEqual([]);
  });

  it('may end with records that are not there, when the client died', () => {
    const script = history().send('x', 0, session);
    script.begin('y', session);
    script.begin('z', session);
    expect(script.poll([[0, 'x']]).names).toEqual([]);
  });

  it('may go on without a record, once the client was told that its outcome is unknown', () => {
    const script = history().info('x', session).send('y', 0, session);
    expect(script.poll([[0, 'y']]).names).toEqual([]);
  });

  it('has an order for each key, and none between keys or sessions', () => {
    const script = history().send('x', 5, session).send('y', 1, { session: 's', key: 'b' });
    script.send('z', 6, { session: 'other', process: 3 });
    script.pollKeys({
      a: [
        [5, 'x'],
        [6, 'z'],
      ],
      b: [[1, 'y']],
    });
    expect(script.names).toEqual([]);
  });
});

describe('of a producer session', () => {
  it('session-order: a record of unknown outcome that arrived behind its successor', () => {
    const script = history().info('x', session).send('y', 0, session);
    script.poll([
      [0, 'y'],
      [1, 'x'],
    ]);
    expect(script.names).toEqual(['session-order']);
  });

  it('session-order: also where the client died before it was told anything', () => {
    const script = history();
    script.begin('x', session);
    script.begin('y', session);
    script.poll([
      [0, 'y'],
      [1, 'x'],
    ]);
    expect(script.names).toEqual(['session-order']);
  });

  it('session-gap: a record without an outcome is not there, and its successor is', () => {
    const script = history();
    script.begin('x', session);
    script.begin('y', session);
    expect(script.poll([[0, 'y']]).names).toEqual(['session-gap']);
  });

  it('session-gap: also when the successor was acknowledged, and the outcome in doubt was told later', () => {
    const script = history();
    const [first, second] = [script.begin('x', session), script.begin('y', session)];
    second('ok', 0);
    first('info');
    expect(script.poll([[0, 'y']]).names).toEqual(['session-gap']);
  });

  it('session-gap: where the record key chose the key, and only others of it tell which', () => {
    const script = history();
    const keyed = { session: 's', recordKey: 'k', key: undefined };
    script.begin('x', keyed);
    script.begin('y', keyed);
    expect(script.poll([[0, 'y']]).names).toEqual(['session-gap']);
  });

  it('tells sessions apart: what another one lacks is not this one’s gap', () => {
    const script = history();
    script.begin('x', { session: 'dead' });
    script.send('y', 0, session);
    expect(script.poll([[0, 'y']]).names).toEqual([]);
  });
});
