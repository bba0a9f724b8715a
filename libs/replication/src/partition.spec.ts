import fc from 'fast-check';
import { LEADER_STALL_MS_MAX, NEW_EPOCH_WAIT_MS_MAX, PartitaError, REPLICA_LAG_MS_MAX } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { inSyncIds } from './append-rules.ts';
import { configOf, TestReplica } from './testing/replica.fixture.ts';

function leaderOf(replica: TestReplica) {
  const { role } = replica.state;
  if (role.kind !== 'leader') throw new Error(`the replica is ${role.kind}`);
  return role;
}

describe('an election', () => {
  it('gives a promise when it is durable, and again to the same attempt only', () => {
    const replica = new TestReplica();
    replica.promise(3, 'a');
    expect(replica.promises).toEqual([]);
    replica.settleJournal();
    expect(replica.promises[0]).toMatchObject({ granted: true, promisedEpoch: 3 });
    replica.promise(3, 'b');
    replica.promise(2, 'c');
    replica.promise(3, 'a');
    expect(replica.promises.slice(1).map(({ granted }) => granted)).toEqual([false, false, true]);
  });

  it('leads when its first record is durable, and only the promised attempt', () => {
    const replica = new TestReplica();
    replica.promise(1, 'a');
    replica.settleJournal();
    replica.lead(1, 'b');
    expect(replica.leads).toMatchObject([{ leading: false, promisedEpoch: 1 }]);
    replica.lead(1, 'a');
    replica.settleJournal();
    expect(replica.leads).toHaveLength(1);
    replica.sync();
    expect(replica.leads[1]).toMatchObject({ leading: true });
    expect(replica.state.highWatermark).toBe(1n);
    replica.lead(1, 'a');
    expect(replica.leads[2]).toMatchObject({ leading: true });
  });

  it('does not lead with another log than it reported, nor when it is suspect, nor twice', () => {
    const replica = new TestReplica();
    replica.promise(1, 'a');
    replica.settleJournal();
    replica.lead(1, 'a', 0, 5n);
    replica.lead(1, 'a', 4, 0n);
    replica.state.meta = { ...replica.state.meta, suspect: true };
    replica.lead(1, 'a');
    replica.state.meta = { ...replica.state.meta, suspect: false };
    expect(replica.leads.map(({ leading }) => leading)).toEqual([false, false, false]);
    replica.lead(1, 'a');
    replica.settleJournal();
    replica.sync();
    replica.restart();
    replica.lead(1, 'a');
    expect(replica.leads.map(({ leading }) => leading)).toEqual([false, false, false, true, false]);
  });

  it('answers what was under way before it grants, and reports it', () => {
    const replica = new TestReplica();
    replica.elect(1);
    replica.append();
    replica.promise(2, 'b');
    replica.append();
    expect(replica.lastReasons).toEqual(['NOT_LEADER']);
    replica.sync();
    expect(replica.lastReasons).toEqual(['NOT_LEADER', 'ok']);
    replica.settleJournal();
    expect(replica.promises[1]).toMatchObject({ granted: true, logEnd: 2n, lastEpoch: 1 });
  });

  it('drops the acknowledgements that followers owe when it grants', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.joinedBy(2);
    replica.append();
    replica.sync();
    expect(replica.lastReasons).toEqual([]);
    replica.promise(2, 'b');
    replica.settleJournal();
    expect(replica.lastReasons).toEqual(['OUTCOME_UNKNOWN']);
  });

  it('gives way to a promise that arrives while it becomes leader', () => {
    const replica = new TestReplica();
    replica.promise(1, 'a');
    replica.settleJournal();
    replica.lead(1, 'a');
    replica.promise(2, 'b');
    replica.settleJournal();
    replica.settleJournal();
    expect(replica.leads).toMatchObject([{ leading: false }]);
    expect(replica.promises[1]).toMatchObject({ granted: true, promisedEpoch: 2, logEnd: 0n });
  });

  it('is over when the disk fails before the lead is journaled, which is no bug of the replica', () => {
    const replica = new TestReplica();
    replica.promise(1, 'a');
    replica.settleJournal();
    replica.lead(1, 'a');
    replica.feed({ kind: 'storage-failed', error: new PartitaError('STORAGE_FAILED', 'the disk failed') });
    replica.settleJournal();
    expect(replica.leads).toMatchObject([{ leading: false }]);
    expect(replica.state.role.kind).toBe('offline');
  });

  it('is over when the log has no room for its first record', () => {
    const replica = new TestReplica();
    replica.logIsFull = true;
    replica.elect(1);
    expect(replica.leads).toMatchObject([{ leading: false }]);
    replica.logIsFull = false;
    replica.elect(2);
    expect(replica.leads[1]).toMatchObject({ leading: true });
  });
});

describe('a leader', () => {
  it('refuses appends with too few replicas in sync, before anything is stored', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.append();
    replica.feed({ kind: 'expire', nowMs: 0 });
    expect(replica.lastReasons).toEqual([]);
    replica.feed({ kind: 'expire', nowMs: NEW_EPOCH_WAIT_MS_MAX });
    replica.append();
    expect(replica.lastReasons).toEqual(['NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS']);
    expect(replica.state.logEnd).toBe(1n);
  });

  it('lets appends of its first moments wait for followers, and takes them in their order', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.append({ deadlineMs: 50 });
    replica.append({ recordCount: 2 });
    replica.append({ recordCount: 3 });
    replica.feed({ kind: 'expire', nowMs: 100 });
    expect(replica.lastReasons).toEqual(['NOT_ENOUGH_REPLICAS']);
    replica.joinedBy(2);
    expect(replica.state.logEnd).toBe(6n);
    replica.sync();
    replica.feed({ kind: 'follower-ack', epoch: 1, brokerId: 2, nonce: 'j2', durableEnd: 6n, fsynced: true });
    expect(replica.appends.slice(1)).toMatchObject([
      { ok: true, stamp: { baseOffset: 1n } },
      { ok: true, stamp: { baseOffset: 3n } },
    ]);
  });

  it('refuses what waits when a higher epoch is promised', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.append();
    replica.promise(2, 'b');
    replica.settleJournal();
    expect(replica.lastReasons).toEqual(['NOT_LEADER']);
  });

  it('drops a follower that makes no progress, and counts it again when it has caught up', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.joinedBy(2);
    replica.joinedBy(3);
    replica.append();
    replica.sync();
    replica.feed({ kind: 'follower-ack', epoch: 1, brokerId: 2, nonce: 'j2', durableEnd: 2n, fsynced: true });
    replica.feed({ kind: 'expire', nowMs: 10 });
    replica.feed({ kind: 'expire', nowMs: 10 + REPLICA_LAG_MS_MAX + 1 });
    expect(inSyncIds(replica.state, leaderOf(replica))).toEqual([1, 2]);
    replica.feed({ kind: 'follower-ack', epoch: 1, brokerId: 3, nonce: 'j3', durableEnd: 2n, fsynced: true });
    expect(inSyncIds(replica.state, leaderOf(replica))).toEqual([1, 2, 3]);
  });

  it('resigns when its own disk makes no progress, and when a follower has promised more', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.joinedBy(2);
    replica.append();
    replica.feed({ kind: 'expire', nowMs: 10 });
    replica.feed({ kind: 'expire', nowMs: 10 + LEADER_STALL_MS_MAX + 1 });
    expect(replica.lastReasons).toEqual(['OUTCOME_UNKNOWN']);
    expect(replica.state.role.kind).toBe('follower');
    replica.sync();
    replica.elect(2);
    replica.feed({ kind: 'fenced', promisedEpoch: 2 });
    expect(replica.state.role.kind).toBe('leader');
    replica.feed({ kind: 'fenced', promisedEpoch: 3 });
    expect(replica.state.role.kind).toBe('follower');
  });

  it('commits what m in-sync replicas hold, itself among them', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    expect([replica.joinedBy(2), replica.joinedBy(3)]).toMatchObject([{ truncateTo: 0n }, { truncateTo: 0n }]);
    expect(inSyncIds(replica.state, leaderOf(replica))).toEqual([1, 2, 3]);
    replica.append();
    replica.feed({ kind: 'follower-ack', epoch: 1, brokerId: 2, nonce: 'j2', durableEnd: 2n, fsynced: false });
    expect(replica.lastReasons).toEqual([]);
    replica.feed({ kind: 'follower-lost', brokerId: 3, nonce: 'old' });
    expect(inSyncIds(replica.state, leaderOf(replica))).toEqual([1, 2, 3]);
    replica.feed({ kind: 'follower-lost', brokerId: 3, nonce: 'j3' });
    expect(inSyncIds(replica.state, leaderOf(replica))).toEqual([1, 2]);
    replica.sync();
    expect(replica.appends).toMatchObject([{ ok: true, replicasAcked: 2, fsynced: false }]);
    expect(replica.state.highWatermark).toBe(2n);
  });

  it('acknowledges acks=leader when it is durable here, and never out of order', () => {
    const replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.joinedBy(2);
    replica.append({ acks: 'leader' });
    replica.append({ acks: 'all' });
    replica.append({ acks: 'leader' });
    replica.sync();
    expect(replica.appends.map((outcome) => outcome.ok && outcome.stamp.baseOffset)).toEqual([1n]);
    expect(replica.state.highWatermark).toBe(1n);
  });

  it('holds writers to the claim of the partition', () => {
    const replica = new TestReplica();
    replica.elect(1);
    replica.append({ claimEpoch: 2, claim: { epoch: 2, instanceId: 'a' } });
    replica.append({ claimEpoch: 1, claim: { epoch: 1, instanceId: 'a' } });
    replica.append({ claimEpoch: 1, claim: { epoch: 1, instanceId: 'a' } });
    replica.append({ claimEpoch: 1, claim: { epoch: 1, instanceId: 'b' } });
    replica.append();
    replica.append({ claimEpoch: 1 });
    replica.sync();
    const reasons = replica.lastReasons;
    expect(reasons.filter((reason) => reason === 'FENCED_CLAIM')).toHaveLength(3);
    expect(reasons.filter((reason) => reason === 'ok')).toHaveLength(3);
  });

  it('appends conditionally: control records do not count', () => {
    const replica = new TestReplica();
    replica.elect(1);
    replica.append({ expectedNextOffset: 0n });
    replica.append({ expectedNextOffset: 1n });
    replica.append({ expectedNextOffset: 2n });
    replica.sync();
    expect(replica.lastReasons).toEqual(['EXPECTED_OFFSET_MISMATCH', 'ok', 'ok']);
  });

  it('does not know what became of an append whose deadline passes, and answers it once', () => {
    const replica = new TestReplica();
    replica.elect(1);
    replica.append({ deadlineMs: 10 });
    replica.append({ deadlineMs: 20 });
    replica.feed({ kind: 'expire', nowMs: 10 });
    replica.sync();
    expect(replica.lastReasons).toEqual(['OUTCOME_UNKNOWN', 'ok']);
  });

  it('acknowledges nothing any more when its disk has failed', () => {
    const replica = new TestReplica();
    replica.elect(1);
    replica.append();
    replica.feed({ kind: 'storage-failed', error: new PartitaError('STORAGE_FAILED', 'the disk failed') });
    replica.append();
    replica.promise(2, 'b');
    expect(replica.lastReasons).toEqual(['OUTCOME_UNKNOWN', 'STORAGE_FAILED']);
    expect(replica.promises.at(-1)).toMatchObject({ granted: false });
  });

  it('never lets the append time fall', () => {
    const replica = new TestReplica();
    replica.elect(1);
    replica.append({ wallMs: 5000 });
    replica.append({ wallMs: 10 });
    replica.sync();
    expect(replica.appends.map((outcome) => outcome.ok && outcome.stamp.appendTimeMs)).toEqual([5000n, 5000n]);
  });
});

describe('a replica in any order of events', () => {
  const event = fc.oneof(
    { weight: 6, arbitrary: fc.constant({ kind: 'append' as const }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('sync' as const), count: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 4, arbitrary: fc.constant({ kind: 'journal' as const }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('promise' as const), epoch: fc.integer({ min: 1, max: 6 }) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('lead' as const), epoch: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const), nowMs: fc.nat({ max: 2000 }) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
  );

  it('acknowledges durable batches only, keeps its promises, and answers each append once', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), (events) => {
        const replica = new TestReplica();
        let appendCount = 0;
        let lostCount = 0;
        for (const next of events) {
          switch (next.kind) {
            case 'append':
              appendCount += 1;
              replica.append();
              break;
            case 'sync':
              replica.sync(next.count);
              break;
            case 'journal':
              replica.settleJournal();
              break;
            case 'promise':
              replica.promise(next.epoch, `n${next.epoch}`);
              break;
            case 'lead':
              replica.lead(next.epoch, `n${next.epoch}`);
              break;
            case 'expire':
              replica.feed(next);
              break;
            case 'restart':
              // Whoever still waited is told by the broken connection.
              lostCount += replica.state.unanswered.filter(({ reply }) => reply !== undefined).length;
              replica.restart();
              break;
          }
        }
        replica.sync();
        expect(replica.appends.length + lostCount).toBe(appendCount);
      }),
      { numRuns: 500 },
    );
  });
});
