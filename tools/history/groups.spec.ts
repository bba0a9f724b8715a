import { describe, expect, it } from 'vitest';
import { checkHistory } from './checker.ts';
import { ScriptedHistory } from './testing/scripted-history.ts';

const [x, y, z] = [[0, 'x'] as const, [1, 'y'] as const, [2, 'z'] as const];
const sent = (): ScriptedHistory => new ScriptedHistory().send('x', 0).send('y', 1).send('z', 2);

describe('a good history of a group', () => {
  it('may hand a partition over, what was not committed again', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y]).commit(1, 1, 1).revoked(1, 2);
    script.assigned(2, 2, 1).consume(2, [y, z]).commit(2, 2, 3);
    expect(script.names).toEqual([]);
  });

  it('may give records again to a member whose partition came back, which is remarked', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y]).consume(1, [y, z]).commit(1, 1, 3);
    expect(script.names).toEqual([]);
    expect(Object.keys(checkHistory(script.events).remarks)).toEqual(['nonmonotonic-poll']);
  });

  it('may repeat within a poll what was rebalanced in it', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, y, z], ['a']).commit(1, 1, 3);
    expect(script.names).toEqual([]);
  });

  it('may refuse the commit of a member that is out', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y]).assigned(2, 2, 0).commit(1, 1, 2, 'fail');
    expect(script.consume(2, [x, y, z]).commit(2, 2, 3).names).toEqual([]);
  });

  it('may go on from a commit of unknown outcome, or from the one before it', () => {
    const before = (): ScriptedHistory =>
      sent().assigned(1, 1, 0).consume(1, [x, y]).commit(1, 1, 1).commit(1, 1, 2, 'info').crash(1);
    expect(before().assigned(2, 2, 2).consume(2, [z]).names).toEqual([]);
    expect(before().assigned(2, 2, 1).consume(2, [y, z]).names).toEqual([]);
  });

  it('may go on from a commit of unknown outcome, though another of the same offset was refused', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y]).commit(1, 1, 1).commit(1, 1, 2, 'info');
    expect(script.commit(1, 1, 2, 'fail').assigned(2, 2, 2).consume(2, [z]).names).toEqual([]);
  });

  it('may be reset while a member works, who hears of it before the operator', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]).commit(1, 1, 3);
    const end = script.beginReset(1);
    script.assigned(1, 2, 1).consume(1, [y]).commit(1, 2, 2);
    end('ok');
    expect(script.assigned(2, 3, 2).consume(2, [z]).commit(2, 3, 3).names).toEqual([]);
  });

  it('may be reset while a commit is under way, which is told last', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]);
    const end = script.beginCommit(1, 1, 3);
    script.resetTo(1);
    end('ok');
    expect(script.assigned(1, 2, 1).consume(1, [y]).commit(1, 2, 2).names).toEqual([]);
  });

  it('may be heard late after a reset, of what was before it', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]).commit(1, 1, 2).commit(1, 1, 3, 'info').resetTo(1);
    expect(script.assigned(2, 2, 3).assigned(3, 4, 1).commit(3, 4, 3).names).toEqual([]);
  });

  it('may be heard late by a member that stood still while another went on', () => {
    const script = sent().assigned(2, 2, 0).consume(2, [x, y, z]).commit(2, 2, 3);
    expect(script.assigned(1, 1, 0).names).toEqual([]);
  });

  it('owes its members nothing whose outcome is unknown, or of topics that it has not subscribed', () => {
    const script = new ScriptedHistory().subscribe(1, ['t']).info('w').send('x', 0, { key: 'other-0' });
    expect(script.pollKeys({ 't-0': [[0, 'w']], 'other-0': [x] }, 7).names).toEqual([]);
  });

  it('may be reset, when the member is told', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]).commit(1, 1, 3).resetTo(1);
    expect(script.assigned(1, 2, 1, ['a']).consume(1, [y, z]).commit(1, 2, 3).names).toEqual([]);
    const ahead = sent().assigned(1, 1, 0).consume(1, [x]).commit(1, 1, 1).resetTo(2).assigned(1, 2, 2, ['a']);
    expect(ahead.consume(1, [z]).commit(1, 2, 3).poll([y], 7).names).toEqual([]);
  });
});

describe('of groups', () => {
  it('commit-regress: an accepted commit below an accepted one', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]).commit(1, 1, 3).commit(1, 1, 2);
    expect(script.names).toEqual(['commit-regress']);
  });

  it('zombie-commit: accepted from a member whose partition has gone to another', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]).assigned(2, 2, 0).commit(1, 1, 3);
    expect(script.names).toEqual(['zombie-commit']);
  });

  it('zombie-commit: also when the partition came back to it since', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]).assigned(2, 2, 0).assigned(1, 3, 0);
    expect(script.commit(1, 1, 3).names).toEqual(['zombie-commit']);
  });

  it('zombie-commit: also when the zombie hears late of what it had before it commits', () => {
    const script = sent().assigned(2, 2, 0).assigned(1, 1, 0).consume(1, [x, y, z]);
    expect(script.commit(1, 1, 3).names).toEqual(['zombie-commit']);
  });

  it('double-owner: two members in one epoch, or in overlapping ones', () => {
    expect(sent().assigned(1, 4, 0).assigned(2, 4, 0).consume(2, [x, y, z]).names).toEqual(['double-owner']);
    const script = sent().assigned(1, 4, 0).assigned(2, 6, 0).consume(2, [x, y, z]).revoked(1, 7);
    expect(script.names).toEqual(['double-owner']);
  });

  it('commit-regress and reset-surprise: by a reset that was refused', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]).commit(1, 1, 3);
    script.beginReset(1)('fail');
    expect(script.assigned(1, 2, 1).commit(1, 2, 2).names).toEqual(['commit-regress', 'reset-surprise']);
  });

  it('reset-surprise: a reset that was lost, whether or not the partition goes on from there to others', () => {
    const before = (): ScriptedHistory =>
      sent().assigned(1, 1, 0).consume(1, [x, y, z]).commit(1, 1, 3).resetTo(1).assigned(2, 2, 3);
    expect(before().names).toEqual(['reset-surprise']);
    expect(before().commit(2, 2, 3).assigned(3, 3, 3).names).toEqual(['reset-surprise']);
    expect(before().assigned(3, 3, 3).names).toEqual(['reset-surprise']);
  });

  it('reset-surprise: a reset that takes effect twice', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y, z]).commit(1, 1, 3).resetTo(1).assigned(1, 2, 1);
    expect(script.commit(1, 2, 3).assigned(2, 3, 1).names).toEqual(['reset-surprise']);
  });

  it('group-skip: below the commit, and no member was given it', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x]).assigned(1, 2, 0).consume(1, [z]).commit(1, 2, 3);
    expect(script.poll([y], 7).names).toEqual(['group-skip']);
  });

  it('group-unseen: acknowledged, and no member was given it by the end', () => {
    const script = sent().assigned(1, 1, 0).consume(1, [x, y]).commit(1, 1, 2);
    expect(script.poll([x, y, z], 7).names).toEqual(['group-unseen']);
  });

  it('group-unseen: also in a partition that no member was ever assigned', () => {
    const script = new ScriptedHistory().send('x', 0, { key: 't-1' }).pollKeys({ 't-1': [x] }, 7);
    expect(script.names).toEqual([]);
    expect(script.subscribe(1, ['t']).names).toEqual(['group-unseen']);
    expect(script.subscribe(1, ['other']).names).toEqual(['group-unseen']);
  });

  it('reset-surprise: begins before the commit, or beyond it, and nobody said so', () => {
    const before = (): ScriptedHistory => sent().assigned(1, 1, 0).consume(1, [x, y, z]).commit(1, 1, 2).revoked(1, 2);
    expect(before().assigned(2, 2, 0).consume(2, [x, y, z]).names).toEqual(['reset-surprise']);
    expect(before().assigned(2, 2, 3).names).toEqual(['reset-surprise']);
  });
});
