import { describe, expect, it } from 'vitest';
import { checkHistory } from './checker.ts';
import { ScriptedHistory } from './testing/scripted-history.ts';

const history = (): ScriptedHistory => new ScriptedHistory();

describe('a good history', () => {
  it('is clean and counted', () => {
    const script = history().send('x', 0).fail('y').info('z').send('u', 1).wait(100);
    const verdict = checkHistory(script.poll([[0, 'x']]).poll([[1, 'u']]).events);
    expect(verdict.anomalies).toEqual({});
    expect(verdict.remarks).toEqual({});
    expect(verdict).toMatchObject({ operationCount: 6, ackedCount: 2, failedCount: 1, unknownCount: 1, readCount: 2 });
    expect(verdict.unseenCount).toBe(0);
    expect(verdict.lagMsMaxByKey['a']).toBeGreaterThan(100);
  });

  it('may have a send of unknown outcome that happened, late too, and one that did not', () => {
    const script = history().info('x').send('y', 0).info('z');
    script.poll([
      [0, 'y'],
      [5, 'x'],
    ]);
    expect(script.names).toEqual([]);
  });

  it('may have a send that never ended, and was read', () => {
    const script = history();
    script.begin('x');
    expect(script.poll([[3, 'x']]).names).toEqual([]);
  });

  it('may have holes where no record is known', () => {
    const script = history().send('x', 1).send('y', 7).assign(['a'], { a: 0 });
    script.poll([
      [1, 'x'],
      [7, 'y'],
    ]);
    expect(script.names).toEqual([]);
  });

  it('may have sends under way together, of one process in their order, of two in any', () => {
    const script = history();
    const [first, second] = [script.begin('x'), script.begin('y')];
    const other = script.begin('z', { process: 5 });
    second('ok', 2);
    first('ok', 1);
    other('ok', 0);
    script.poll([
      [0, 'z'],
      [1, 'x'],
      [2, 'y'],
    ]);
    expect(script.names).toEqual([]);
  });

  it('may repeat a refused send as a new one', () => {
    const script = history().fail('x').send('x-again', 0);
    expect(script.poll([[0, 'x-again']]).names).toEqual([]);
  });
});

describe('of the log', () => {
  it('inconsistent-offsets: two readers see two values at an offset', () => {
    const script = history()
      .info('x')
      .info('y')
      .poll([[0, 'x']], 1)
      .poll([[0, 'y']], 2);
    expect(script.names).toEqual(['inconsistent-offsets']);
  });

  it('inconsistent-offsets: also when the second poll failed', () => {
    const script = history()
      .send('x', 0)
      .info('y')
      .poll([[0, 'x']], 1)
      .poll([[0, 'y']], 2, 'fail');
    expect(script.names).toEqual(['inconsistent-offsets', 'lost-write']);
  });

  it('duplicate: a value at two offsets, or of two keys', () => {
    const twice = history()
      .send('x', 0)
      .poll([
        [0, 'x'],
        [1, 'x'],
      ]);
    expect(twice.names).toEqual(['duplicate']);
    const elsewhere = history()
      .send('x', 0)
      .poll([[0, 'x']])
      .pollKeys({ b: [[0, 'x']] }, 2);
    expect(elsewhere.names).toEqual(['duplicate']);
  });

  it('lost-write: acknowledged below what was read, and nobody got it', () => {
    const script = history()
      .send('x', 0)
      .send('y', 1)
      .poll([[1, 'y']]);
    expect(script.names).toEqual(['lost-write', 'unseen']);
  });

  it('lost-write: a copy further on does not prove that reading got there', () => {
    const script = history()
      .send('x', 0)
      .send('y', 3)
      .poll([[0, 'x']])
      .poll([[5, 'x']], 2, 'fail');
    expect(script.names).toEqual(['duplicate', 'unseen']);
  });

  it('lost-write: a poll that failed does not count as having returned it', () => {
    const script = history()
      .send('x', 0)
      .send('y', 1)
      .poll([[0, 'x']], 1, 'fail')
      .poll([[1, 'y']], 2);
    expect(script.names).toEqual(['lost-write', 'unseen']);
  });

  it('lost-write: also of unknown outcome, when a poll that failed saw it', () => {
    const script = history()
      .info('x')
      .send('y', 1)
      .poll([[0, 'x']], 1, 'fail')
      .poll([[1, 'y']], 2);
    expect(script.names).toEqual(['lost-write']);
  });

  it('unseen: acknowledged at the end, and nobody read that far', () => {
    const script = history()
      .send('x', 0)
      .send('y', 1)
      .poll([[0, 'x']]);
    expect(script.names).toEqual(['unseen']);
    expect(checkHistory(script.events).unseenCount).toBe(1);
  });

  it('aborted-read: its send failed, before or after it was read', () => {
    expect(
      history()
        .fail('x')
        .poll([[0, 'x']]).names,
    ).toEqual(['aborted-read']);
    const late = history();
    const end = late.begin('x');
    late.poll([[0, 'x']]);
    end('fail');
    expect(late.names).toEqual(['aborted-read']);
  });

  it('phantom: nobody had sent it', () => {
    expect(history().poll([[0, 'x']]).names).toEqual(['phantom']);
  });
});

describe('of polls', () => {
  const sent = (): ScriptedHistory => history().send('x', 0).send('y', 1).send('z', 2);

  it('int-poll-skip: within one, over a value that another saw', () => {
    const script = sent().poll([
      [0, 'x'],
      [2, 'z'],
    ]);
    expect(script.poll([[1, 'y']], 2).names).toEqual(['int-poll-skip']);
  });

  it('int-nonmonotonic-poll: within one, back or again', () => {
    const back = sent().poll([
      [1, 'y'],
      [0, 'x'],
      [1, 'y'],
      [2, 'z'],
    ]);
    expect(back.names).toEqual(['int-nonmonotonic-poll']);
  });

  it('poll-skip: between two, over a value that another saw', () => {
    const script = sent()
      .poll([[0, 'x']])
      .poll([[2, 'z']]);
    expect(script.poll([[1, 'y']], 2).names).toEqual(['poll-skip']);
  });

  it('poll-skip: behind a seek', () => {
    const script = sent()
      .assign(['a'], { a: 0 })
      .poll([[1, 'y']])
      .poll([[2, 'z']])
      .poll([[0, 'x']], 2);
    expect(script.names).toEqual(['poll-skip']);
  });

  it('nonmonotonic-poll: between two, back or again', () => {
    const script = sent().poll([
      [0, 'x'],
      [1, 'y'],
    ]);
    const again = script.poll([
      [1, 'y'],
      [2, 'z'],
    ]);
    expect(again.names).toEqual(['nonmonotonic-poll']);
  });

  it('a poll that failed does not move the position', () => {
    const [x, y, z] = [[0, 'x'] as const, [1, 'y'] as const, [2, 'z'] as const];
    expect(sent().poll([x]).poll([y], 1, 'fail').poll([y, z]).names).toEqual([]);
    expect(sent().poll([x]).poll([y], 1, 'fail').poll([z]).poll([y], 2).names).toEqual(['poll-skip']);
  });

  it('an assignment without the key forgets its position, one with it does not', () => {
    const [x, y, z] = [[0, 'x'] as const, [1, 'y'] as const, [2, 'z'] as const];
    expect(sent().poll([x, y, z]).assign(['b']).assign(['a']).poll([x]).names).toEqual([]);
    expect(sent().poll([x, y, z]).assign(['a', 'b']).poll([x]).names).toEqual(['nonmonotonic-poll']);
    expect(sent().poll([x, y, z]).assign(['a'], { a: 1 }).poll([y]).names).toEqual([]);
    expect(sent().poll([x, y, z]).crash(1).poll([x]).names).toEqual([]);
  });
});

describe('of sends', () => {
  it('int-nonmonotonic-send: values of one call whose offsets do not grow', () => {
    const script = history().send(['x', 'y'], [1, 0]);
    script.poll([
      [0, 'y'],
      [1, 'x'],
    ]);
    expect(script.names).toEqual(['int-nonmonotonic-send']);
  });

  it('nonmonotonic-send: two under way together, in the log the other way round', () => {
    const script = history();
    const [first, second] = [script.begin('x'), script.begin('y')];
    second('ok', 0);
    first('ok', 1);
    script.poll([
      [0, 'y'],
      [1, 'x'],
    ]);
    expect(script.names).toEqual(['nonmonotonic-send']);
  });

  it('key-order: in the log the other way round, as readers see it', () => {
    const script = history().send('x', -1, { recordKey: 'k' }).send('y', -1, { recordKey: 'k' });
    script.send('z', -1, { recordKey: 'other' });
    script.poll([
      [0, 'z'],
      [1, 'y'],
      [2, 'x'],
    ]);
    expect(script.names).toEqual(['key-order']);
  });

  it('key-order: not between requests, which have no order with anything', () => {
    const script = history().send('x', -1, { recordKey: 'k', requestId: 'a' }).send('y', -1, { recordKey: 'k' });
    script.poll([
      [0, 'y'],
      [1, 'x'],
    ]);
    expect(script.names).toEqual([]);
  });

  it('key-order: not between processes, nor for a send of unknown outcome', () => {
    const script = history().send('x', -1, { recordKey: 'k' }).send('y', -1, { recordKey: 'k', process: 4 });
    script.begin('u', { recordKey: 'k' })('info');
    script.send('z', -1, { recordKey: 'k' });
    script.poll([
      [0, 'y'],
      [1, 'x'],
      [2, 'z'],
      [3, 'u'],
    ]);
    expect(script.names).toEqual([]);
  });

  it('offset-regress: at or below what was known before it began', () => {
    const script = history().send('x', 4).send('y', 3, { process: 5 });
    script.poll([
      [3, 'y'],
      [4, 'x'],
    ]);
    expect(script.names).toEqual(['offset-regress']);
    const read = history()
      .info('x')
      .poll([[4, 'x']])
      .send('y', 3);
    expect(read.poll([[3, 'y']], 2).names).toEqual(['offset-regress']);
  });

  it('offset-regress: not when that became known while it was under way', () => {
    const script = history();
    const end = script.begin('y', { process: 5 });
    script.send('x', 4);
    end('ok', 3);
    script.poll([
      [3, 'y'],
      [4, 'x'],
    ]);
    expect(script.names).toEqual([]);
  });

  it('hw-regress: below one told before, or below what was acknowledged', () => {
    expect(history().highWatermark(5).highWatermark(4).names).toEqual(['hw-regress']);
    expect(
      history()
        .send('x', 3)
        .highWatermark(3)
        .poll([[3, 'x']]).names,
    ).toEqual(['hw-regress']);
    expect(
      history()
        .send('x', 3)
        .highWatermark(4)
        .highWatermark(4)
        .poll([[3, 'x']]).names,
    ).toEqual([]);
  });
});
