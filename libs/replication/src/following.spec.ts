import { describe, expect, it } from 'vitest';
import { configOf, TestReplica } from './testing/replica.fixture.ts';
import { step } from './partition.ts';

describe('a replica that is told of a leader whose epoch is below its promise', () => {
  const follow = { kind: 'follow', epoch: 1, leaderId: 2 } as const;

  it('tells that leader, which would go on without it for ever', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.promise(2, 'elected nobody');
    replica.settleJournal();
    expect(step(replica.state, follow)).toEqual([{ kind: 'send-fenced', leaderId: 2, promisedEpoch: 2 }]);
  });

  it('says nothing while it follows a newer one', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.promise(2, 'a');
    replica.settleJournal();
    replica.feed({ kind: 'follow', epoch: 2, leaderId: 3 });
    expect(step(replica.state, follow)).toEqual([]);
  });
});
