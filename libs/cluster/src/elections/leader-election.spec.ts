import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluatePromises } from './leader-election.ts';
import type { ElectionPlan, PromiseReply } from './leader-election.ts';
import type { ReplicaConfig, ReplicaIdentity } from '../inventory.ts';
import { electionQuorum } from '../partition-status.ts';

function replica(brokerId: number): ReplicaIdentity {
  return { brokerId, directoryId: `dir ${brokerId}`, replicaId: `replica ${brokerId}` };
}

function config(configVersion: number, brokerIds: readonly number[], minInSyncReplicas: number): ReplicaConfig {
  return { configVersion, replicas: brokerIds.map(replica), learners: [], minInSyncReplicas, flush: 'fsync' };
}

function plan(known: ReplicaConfig, inSync: readonly number[] = []): ElectionPlan {
  const { replicas } = known;
  return { topicId: 't', partition: 0, epoch: 5, replicas, config: known, inSync, wanted: 0, leaving: [] };
}

function reply(brokerId: number, more: Partial<PromiseReply> = {}): PromiseReply {
  return {
    replica: replica(brokerId),
    granted: true,
    promisedEpoch: 5,
    lastEpoch: 4,
    logEndOffset: 10n,
    suspect: false,
    configs: [],
    configFloor: 0,
    ...more,
  };
}

const three = config(1, [1, 2, 3], 2);

describe('the election quorum', () => {
  it('meets every set that may have committed, and every other quorum', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }), (replicas, wanted) => {
        const minInSync = Math.min(replicas, wanted);
        const quorum = electionQuorum(replicas, minInSync);
        expect(quorum + minInSync).toBeGreaterThan(replicas);
        expect(2 * quorum).toBeGreaterThan(replicas);
        expect(quorum).toBeLessThanOrEqual(replicas);
      }),
    );
  });

  it('is as the design says', () => {
    const pairs = [
      [3, 2],
      [1, 1],
      [2, 1],
      [2, 2],
      [3, 3],
      [3, 1],
      [5, 3],
    ] as const;
    expect(pairs.map(([replicas, minInSync]) => electionQuorum(replicas, minInSync))).toEqual([2, 1, 2, 2, 2, 3, 3]);
  });
});

describe('evaluating promises', () => {
  it('elects the only replica of an unreplicated partition', () => {
    const outcome = evaluatePromises(plan(config(1, [1], 1)), [reply(1)]);
    expect(outcome).toMatchObject({ kind: 'elected', leader: replica(1), lastEpoch: 4, logEndOffset: 10n });
  });

  it('takes the newest epoch before the longest log', () => {
    const outcome = evaluatePromises(plan(three), [
      reply(1, { logEndOffset: 99n }),
      reply(2, { lastEpoch: 5, logEndOffset: 1n }),
    ]);
    expect(outcome).toMatchObject({ kind: 'elected', leader: replica(2) });
  });

  it('takes who is in sync, then who is preferred, among equal logs', () => {
    expect(evaluatePromises(plan(three), [reply(2), reply(1)])).toMatchObject({ leader: replica(1) });
    expect(evaluatePromises(plan(three, [3]), [reply(1), reply(3)])).toMatchObject({ leader: replica(3) });
    const wish = { ...plan(three, [1, 3]), wanted: 2 };
    expect(evaluatePromises(wish, [reply(1), reply(2), reply(3)])).toMatchObject({ leader: replica(2) });
  });

  it('takes one whose broker is about to stop only when no other log is as good', () => {
    const leaving = { ...plan(three, [1, 2]), wanted: 1, leaving: [1, 2] };
    expect(evaluatePromises(leaving, [reply(1), reply(2), reply(3)])).toMatchObject({ leader: replica(3) });
    const longer = [reply(1, { logEndOffset: 99n }), reply(3)];
    expect(evaluatePromises(leaving, longer)).toMatchObject({ leader: replica(1) });
  });

  it('does not count suspect replicas, refusals or replicas that are no members', () => {
    expect(evaluatePromises(plan(three), [reply(1), reply(2, { suspect: true })])).toMatchObject({ kind: 'failed' });
    expect(evaluatePromises(plan(three), [reply(1), reply(9)])).toMatchObject({ kind: 'failed' });
    expect(evaluatePromises(plan(three), [reply(1), reply(2, { granted: false, promisedEpoch: 8 })])).toEqual({
      kind: 'failed',
      why: '1 of 2 promises needed by config 1',
      promisedEpoch: 8,
    });
  });

  it('asks a newer replica set that a log holds for its own quorum too', () => {
    const newer = config(2, [2, 3, 4], 2);
    expect(evaluatePromises(plan(three), [reply(1, { configs: [newer, three] }), reply(2)])).toMatchObject({
      kind: 'failed',
    });
    const outcome = evaluatePromises(plan(three), [reply(1, { configs: [newer, three] }), reply(2), reply(3)]);
    expect(outcome).toMatchObject({ kind: 'elected', leader: replica(2), config: three });
  });

  it('forgets replica sets below the one that is known to be committed, and fails when nobody holds that one', () => {
    const newer = config(2, [2, 3, 4], 2);
    const outcome = evaluatePromises(plan(three), [reply(2, { configs: [newer], configFloor: 2 }), reply(4)]);
    expect(outcome).toMatchObject({ kind: 'elected', leader: replica(2) });
    expect(evaluatePromises(plan(three), [reply(1, { configFloor: 3 }), reply(2)])).toMatchObject({ kind: 'failed' });
  });

  it('elects a replica that is being removed when its log is the best, but rather another when it is not', () => {
    const newer = config(2, [1, 2, 3], 2);
    const older = config(1, [1, 2, 3, 4], 2);
    const replies = [reply(1, { configs: [newer, older] }), reply(2), reply(3)];
    const longer = evaluatePromises(plan(older), [...replies, reply(4, { logEndOffset: 11n })]);
    expect(longer).toMatchObject({ kind: 'elected', leader: replica(4), config: older });
    expect(evaluatePromises(plan(older, [4]), [...replies, reply(4)])).toMatchObject({ leader: replica(1) });
  });

  it('elects no learner, unless its own log holds the set that makes it a member', () => {
    const newer = config(2, [1, 2, 3, 4], 2);
    const replies = [reply(1, { configs: [newer, three] }), reply(2), reply(3)];
    const asLearner = evaluatePromises(plan(three), [...replies, reply(4, { logEndOffset: 11n, configs: [three] })]);
    expect(asLearner).toMatchObject({ leader: replica(1) });
    const member = reply(4, { logEndOffset: 11n, configs: [newer, three] });
    expect(evaluatePromises(plan(three), [...replies, member])).toMatchObject({ leader: replica(4), config: three });
  });

  it('asks two sets of one version for their promises, until it is known which of them is committed', () => {
    const one = config(2, [1, 2, 3, 4], 2);
    const other = config(2, [1, 2, 3, 5], 2);
    const replies = [reply(1, { configs: [one, three] }), reply(2, { configs: [other, three] }), reply(3)];
    expect(evaluatePromises(plan(three), replies)).toMatchObject({ kind: 'elected' });
    const [first, second] = replies as [PromiseReply, PromiseReply];
    expect(evaluatePromises(plan(three), [first, second, reply(4)])).toMatchObject({
      why: expect.stringMatching('2 of 3') as string,
    });
    const sure = { ...first, configFloor: 2 };
    expect(evaluatePromises(plan(three), [sure, second, reply(4)])).toMatchObject({ leader: replica(1), config: one });
  });

  it('does not go by a set that was committed in a later epoch', () => {
    const newer = config(2, [2, 3], 1);
    const late = reply(1, { granted: false, promisedEpoch: 9, configs: [newer, three], configFloor: 2 });
    expect(evaluatePromises(plan(three), [late, reply(2), reply(3)])).toMatchObject({
      kind: 'failed',
      promisedEpoch: 9,
    });
    const before = { ...late, promisedEpoch: 5 };
    expect(evaluatePromises(plan(three), [before, reply(2), reply(3)])).toMatchObject({
      leader: replica(2),
      config: newer,
    });
  });

  it('elects a log that holds every record that may be committed, whoever answers', () => {
    const setup = fc.integer({ min: 1, max: 5 }).chain((replicas) =>
      fc.record({
        replicas: fc.constant(replicas),
        minInSync: fc.integer({ min: 1, max: replicas }),
        ends: fc.array(fc.bigInt({ min: 0n, max: 9n }), { minLength: replicas, maxLength: replicas }),
        answers: fc.subarray(Array.from({ length: replicas }, (_, index) => index + 1)),
      }),
    );
    fc.assert(
      fc.property(setup, ({ replicas, minInSync, ends, answers }) => {
        const ids = ends.map((_, index) => index + 1);
        const committed = ends.toSorted((a, b) => (a > b ? -1 : 1))[minInSync - 1] ?? 0n;
        const outcome = evaluatePromises(
          plan(config(1, ids, minInSync)),
          answers.map((id) => reply(id, { logEndOffset: ends[id - 1] ?? 0n })),
        );
        expect(outcome.kind).toBe(answers.length >= electionQuorum(replicas, minInSync) ? 'elected' : 'failed');
        if (outcome.kind === 'elected') expect(outcome.logEndOffset >= committed).toBe(true);
      }),
    );
  });
});
