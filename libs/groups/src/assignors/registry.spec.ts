import { describe, expect, it } from 'vitest';
import { G, shard } from '../testing/test-shard.ts';

const named = (assignor: string) => ({ assignor });

describe('the assignor of a group', () => {
  it('is what most members name, and changes only when more name another', () => {
    const s = shard(4);
    s.join('a');
    expect(s.group?.value?.assignor).toBe('sticky');
    s.join('b', ['t'], '', named('range'));
    expect(s.group?.value?.assignor).toBe('range');
    s.join('c', ['t'], '', named('uniform'));
    expect(s.group?.value?.assignor).toBe('range');
    s.join('d', ['t'], '', named('uniform'));
    expect(s.group?.value?.assignor).toBe('uniform');
    s.do({ kind: 'fence', group: G, memberId: 'd', wallMs: 5 });
    expect(s.group?.value?.assignor).toBe('uniform');
    s.do({ kind: 'fence', group: G, memberId: 'c', wallMs: 5 });
    expect(s.group?.value?.assignor).toBe('range');
    s.do({ kind: 'fence', group: G, memberId: 'b', wallMs: 5 });
    expect(s.group?.value?.assignor).toBe('range');
  });

  it('decides who gets what', () => {
    const s = shard(4);
    s.topics.set('u', 4);
    s.join('a', ['t', 'u'], '', named('range'));
    s.join('b', ['t', 'u'], '', named('range'));
    s.releaseAll('a');
    const of = (memberId: string) => s.held(memberId).map(({ partition }) => partition.partition);
    expect(of('a')).toEqual([0, 1, 0, 1]);
    expect(of('b')).toEqual([2, 3, 2, 3]);
  });

  it('has to exist', () => {
    expect(() => shard(1).join('a', ['t'], '', named('other'))).toThrow('there is no assignor "other"');
  });
});
