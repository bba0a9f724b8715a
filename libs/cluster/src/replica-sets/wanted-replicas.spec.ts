import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MODEL_TOPIC, ReplicaSetModel } from '../testing/replica-set-model.ts';
import { afterMoves, wantedReplicas } from './wanted-replicas.ts';

function wanted(model: ReplicaSetModel, nowMs = 0) {
  return wantedReplicas(model.state, MODEL_TOPIC, 0, nowMs);
}

describe('the replicas that are wanted', () => {
  it('are those that there are, while their brokers are only away', () => {
    const model = new ReplicaSetModel(4, [1, 2, 3]);
    model.stop(2);
    expect(wanted(model)).toEqual({ brokerIds: [1, 2, 3], minInSyncReplicas: 2 });
    expect(model.plan()).toEqual({ kind: 'done' });
  });

  it('fill up with a broker of a new rack, of those with the least', () => {
    const model = new ReplicaSetModel(5, [1], undefined, (id) => (id === 2 ? 'r1' : `r${id}`));
    model.define(3);
    expect(wanted(model)).toEqual({ brokerIds: [1, 3, 4], minInSyncReplicas: 2 });
    model.stop(3);
    expect(wanted(model)?.brokerIds).toEqual([1, 4, 5]);
  });

  it('stay fewer than the factor while too few brokers are up, and m with them', () => {
    const model = new ReplicaSetModel(2, [1]);
    model.define(3);
    expect(wanted(model)).toEqual({ brokerIds: [1, 2], minInSyncReplicas: 2 });
    expect(model.settle().at(-1)).toBe('done');
    expect([model.members(), model.config.minInSyncReplicas]).toEqual([[1, 2], 2]);
  });

  it('shrink to the factor without the leader, and first without who does not answer', () => {
    const model = new ReplicaSetModel(3, [1, 2, 3]);
    model.define(2);
    expect(wanted(model)?.brokerIds).toEqual([1, 2]);
    model.stop(1);
    expect(wanted(model)?.brokerIds).toEqual([2, 3]);
    model.settle();
    expect(model.members()).toEqual([2, 3]);
  });

  it('keep to a copy that was begun while its broker is away for a while', () => {
    const model = new ReplicaSetModel(4, [1, 2]);
    model.define(3);
    expect(model.step()).toMatchObject({ kind: 'propose', config: { learners: [{ brokerId: 3 }] } });
    model.stop(3);
    expect(wanted(model)?.brokerIds).toEqual([1, 2, 3]);
    expect(wanted(model, 5 * 60 * 1000)?.brokerIds).toEqual([1, 2, 4]);
  });

  it('are as asked for: another broker in the place of one, the preferred leader too', () => {
    const model = new ReplicaSetModel(4, [1, 2, 3]);
    model.move({ fromBrokerId: 1, toBrokerId: 4 });
    expect(wanted(model)?.brokerIds).toEqual([4, 2, 3]);
    model.settle();
    expect([model.members(), model.holders()]).toEqual([
      [4, 2, 3],
      [2, 3, 4],
    ]);
    expect([...model.state.reassignments.all()][0]?.moves[0]?.outcome).toBe('succeeded');
    model.move({ fromBrokerId: 3, toBrokerId: 3 });
    model.settle();
    expect(model.members()).toEqual([3, 4, 2]);
  });

  it('come back to a sound set when the wish is gone midway, whatever was made of it', () => {
    for (let steps = 0; steps < 6; steps += 1) {
      const model = new ReplicaSetModel(4, [1, 2, 3]);
      const reassignmentId = model.move({ fromBrokerId: 1, toBrokerId: 4 });
      for (let step = 0; step < steps; step += 1) model.step();
      model.state.apply({ type: 'reassignment_removed', reassignmentId });
      model.settle();
      expect(model.members()).toHaveLength(3);
      expect(model.config.learners).toEqual([]);
      expect(model.holders()).toEqual(model.members().toSorted());
    }
  });

  it('come back whole on a broker whose disk was wiped', () => {
    const model = new ReplicaSetModel(3, [1, 2, 3]);
    model.wipe(2);
    model.settle();
    expect(model.members().toSorted()).toEqual([1, 2, 3]);
    expect(model.countingMembers()).toHaveLength(3);
  });

  it('come back where a replica was lost in place', () => {
    const model = new ReplicaSetModel(3, [1, 2, 3]);
    model.stop(3);
    model.disk(3).replicaId = undefined;
    model.start(3);
    model.settle();
    expect(model.countingMembers().map(({ brokerId }) => brokerId)).toEqual([1, 2, 3]);
  });

  it('do not change by a move that is made already', () => {
    expect(afterMoves([4, 2, 3], [{ topicId: '', partition: 0, fromBrokerId: 1, toBrokerId: 4 }])).toEqual([4, 2, 3]);
    expect(afterMoves([1, 2, 3, 4], [{ topicId: '', partition: 0, fromBrokerId: 1, toBrokerId: 4 }])).toEqual([
      4, 2, 3,
    ]);
    expect(afterMoves([4, 2, 3, 1], [{ topicId: '', partition: 0, fromBrokerId: 1, toBrokerId: 4 }])).toEqual([
      4, 2, 3,
    ]);
    expect(afterMoves([2, 3], [{ topicId: '', partition: 0, fromBrokerId: 1, toBrokerId: 4 }])).toEqual([2, 3, 4]);
    expect(afterMoves([1, 2, 3], [{ topicId: '', partition: 0, fromBrokerId: 2, toBrokerId: 0 }])).toEqual([1, 3]);
  });
});

type Act = {
  readonly kind: 'step' | 'stop' | 'start' | 'wipe' | 'move' | 'factor';
  readonly broker: number;
  readonly other: number;
};

const acts = fc.array(
  fc.record<Act>({
    kind: fc.constantFrom('step', 'step', 'step', 'stop', 'start', 'wipe', 'move', 'factor'),
    broker: fc.integer({ min: 1, max: 5 }),
    other: fc.integer({ min: 1, max: 5 }),
  }),
  { maxLength: 40 },
);

/** True when a disk may be lost: fewer than m at a time keep what is committed, and m others have to commit what mends it. */
function isWhole(model: ReplicaSetModel): boolean {
  const { replicas, minInSyncReplicas: m } = model.config;
  return model.countingMembers().length === replicas.length && m > 1 && replicas.length > m;
}

function suffer(model: ReplicaSetModel, { kind, broker, other }: Act): void {
  switch (kind) {
    case 'step':
      model.step();
      return;
    case 'stop':
      return model.stop(broker);
    case 'start':
      if (!model.isUp(broker)) model.start(broker);
      return;
    case 'wipe':
      if (isWhole(model)) model.wipe(broker);
      return;
    case 'factor':
      return model.define(Math.min(other, 4), broker > 3 ? { minInSyncReplicas: 1 } : {});
    case 'move':
      try {
        model.move({ fromBrokerId: broker, toBrokerId: other });
      } catch {
        // What is refused is no move.
      }
      return;
  }
}

describe('steps towards the replicas that are wanted', () => {
  it('end, from any state, and never leave fewer members that count than m', () => {
    const property = (brokerCount: number, memberCount: number, wishes: readonly Act[]) => {
      const model = new ReplicaSetModel(brokerCount, [1, 2, 3, 4, 5].slice(0, Math.min(memberCount, brokerCount)));
      for (const act of wishes) {
        if (act.broker > brokerCount || act.other > brokerCount) continue;
        suffer(model, act);
        expect(model.countingMembers().length).toBeGreaterThanOrEqual(model.config.minInSyncReplicas);
        expect(model.config.learners.length).toBeLessThanOrEqual(4);
      }
      for (let id = 1; id <= brokerCount; id += 1) if (!model.isUp(id)) model.start(id);
      model.settle();
      const factor = model.state.topicById(MODEL_TOPIC)!.definition.replicationFactor;
      expect(model.members()).toHaveLength(Math.min(factor, brokerCount));
      expect(model.countingMembers()).toHaveLength(model.members().length);
      expect(model.holders()).toEqual(model.members().toSorted());
      expect(model.state.reassignments.openMoves()).toEqual([]);
    };
    fc.assert(fc.property(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 1, max: 4 }), acts, property), {
      numRuns: 1500,
    });
  });
});
