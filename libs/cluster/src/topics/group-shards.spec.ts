import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterState } from '../cluster-state.ts';
import { assignShards } from './group-shards.ts';

const SHARD_COUNT = 16;
let state: ClusterState;
beforeEach(() => (state = new ClusterState()));

function instance(instanceId: string, draining = false): void {
  const facts = { instanceId, address: 'host:1', peerAddress: '', version: '0.1.0', draining };
  state.apply({ type: 'instance_put', instance: { ...facts, service: 'consumer_group' } });
}

function gone(instanceId: string): void {
  state.apply({ type: 'instance_removed', instanceId });
}

/** Assigns; answers how many shards each has and how many moved. */
function assign(mayReturn: (instanceId: string) => boolean = () => false, shardCount = SHARD_COUNT) {
  const records = assignShards(state, shardCount, mayReturn);
  for (const record of records) state.apply(record);
  const counts: Record<string, number> = {};
  for (const owner of state.shards().values()) counts[owner] = (counts[owner] ?? 0) + 1;
  return { counts, moves: records.length };
}

describe('group shards', () => {
  it('go to the only instance, and nothing moves when nothing changed', () => {
    expect(assign()).toEqual({ counts: {}, moves: 0 });
    instance('a');
    expect(assign()).toEqual({ counts: { a: 16 }, moves: 16 });
    expect(assign().moves).toBe(0);
  });

  it('are shared with an instance that joins, by no more moves than its share', () => {
    instance('a');
    assign();
    instance('b');
    expect(assign()).toEqual({ counts: { a: 8, b: 8 }, moves: 8 });
    instance('c');
    expect(assign()).toEqual({ counts: { a: 6, b: 5, c: 5 }, moves: 5 });
  });

  it('of a dead instance go to the others; those of the living stay', () => {
    for (const id of ['a', 'b', 'c']) instance(id);
    assign();
    gone('b');
    expect(assign()).toEqual({ counts: { a: 8, c: 8 }, moves: 5 });
    gone('a');
    gone('c');
    expect(assign().moves).toBe(0);
  });

  it('of one that may come back stay, and nothing is moved to a newcomer meanwhile', () => {
    for (const id of ['a', 'b']) instance(id);
    assign();
    gone('b');
    instance('c');
    expect(assign((id) => id === 'b')).toEqual({ counts: { a: 8, b: 8 }, moves: 0 });
    expect(assign()).toEqual({ counts: { a: 8, c: 8 }, moves: 8 });
  });

  it('are given up by an instance that drains, unless there is no other', () => {
    instance('a');
    assign();
    instance('a', true);
    expect(assign().moves).toBe(0);
    instance('b');
    expect(assign()).toEqual({ counts: { b: 16 }, moves: 16 });
  });
});
