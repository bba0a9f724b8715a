import { PartitaError, REASSIGNMENT_KEPT_COUNT_MAX, REASSIGNMENT_MOVE_COUNT_MAX } from '@partita/domain';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  cancelReassignment,
  createReassignment,
  requireReassignment,
  settleReassignments,
} from './reassignment-commands.ts';
import type { Move, Reassignment } from './reassignment.ts';
import { updateTopic } from '../topics/topic-commands.ts';
import { MODEL_TOPIC, ReplicaSetModel } from '../testing/replica-set-model.ts';

let model: ReplicaSetModel;
let count: number;

beforeEach(() => {
  model = new ReplicaSetModel(5, [1, 2, 3]);
  count = 0;
});

type Short = readonly [from: number, to: number, partition?: number, topicId?: string];

function move([fromBrokerId, toBrokerId, partition = 0, topicId = MODEL_TOPIC]: Short): Move {
  return { topicId, partition, fromBrokerId, toBrokerId };
}

function create(moves: readonly Short[], requestId = ''): Reassignment {
  const newId = () => `id ${(count += 1)}`;
  const command = { moves: moves.map(move), reason: 'operator' as const, requestId, nowMs: 7, newId };
  const { records, response } = createReassignment(model.state, command);
  for (const record of records) model.state.apply(record);
  return response.reassignment;
}

function reasonOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof PartitaError) return error.reason;
    throw error;
  }
  return 'none';
}

describe('a reassignment', () => {
  it.each<[Short, string]>([
    [[1, 4, 0, 'another'], 'TOPIC_NOT_FOUND'],
    [[1, 4, 1], 'PARTITION_NOT_FOUND'],
    [[4, 5], 'REPLICA_NOT_FOUND'],
    [[4, 4], 'REPLICA_NOT_FOUND'],
    [[1, 9], 'BROKER_NOT_FOUND'],
    [[1, 2], 'INVALID_REQUEST'],
    [[0, 0], 'INVALID_REQUEST'],
    [[0, 4], 'INVALID_REQUEST'],
    [[1, 0], 'INVALID_REQUEST'],
  ])('of %s is refused with %s', (asked, reason) => {
    expect(reasonOf(() => create([asked]))).toBe(reason);
    expect([...model.state.reassignments.all()]).toEqual([]);
  });

  it('is refused when its target is away, when it names nothing, or too much', () => {
    model.stop(4);
    expect(reasonOf(() => create([[1, 4]]))).toBe('NOT_ENOUGH_BROKERS');
    expect(reasonOf(() => create([]))).toBe('INVALID_REQUEST');
    const many = Array.from({ length: REASSIGNMENT_MOVE_COUNT_MAX + 1 }, (): Short => [1, 5]);
    expect(reasonOf(() => create(many))).toBe('LIMIT_EXCEEDED');
    expect(reasonOf(() => create([[1, 5]], 'x'.repeat(65)))).toBe('INVALID_REQUEST');
  });

  it('may move several replicas of a partition, each of its own', () => {
    expect(
      reasonOf(() =>
        create([
          [1, 4],
          [1, 5],
        ]),
      ),
    ).toBe('REPLICA_NOT_FOUND');
    create([
      [1, 4],
      [2, 5],
    ]);
    model.settle();
    expect(model.members()[0]).toBe(4);
    expect(model.members().toSorted()).toEqual([3, 4, 5]);
  });

  it('is the same for a repeated request, and keeps others off its partitions until it ends', () => {
    const first = create([[1, 4]], 'r');
    expect(create([[1, 4]], 'r')).toBe(first);
    expect(reasonOf(() => create([[2, 5]]))).toBe('REASSIGNMENT_UNDER_WAY');
    const factor = { name: 'orders', etag: '', settingsAfter: () => ({}), replicationFactorAfter: 2 };
    expect(reasonOf(() => updateTopic(model.state, factor))).toBe('REASSIGNMENT_UNDER_WAY');
    model.settle();
    expect(requireReassignment(model.state, first.reassignmentId)).toMatchObject({
      version: 2,
      moves: [{ outcome: 'succeeded' }],
    });
    expect(reasonOf(() => create([[2, 5]]))).toBe('none');
  });

  it('is not done before the replica that left is deleted, as far as its broker answers', () => {
    create([[3, 4]]);
    while (model.members().includes(3)) model.step();
    expect(model.state.reassignments.openMoves()).toHaveLength(1);
    model.stop(3);
    for (const record of settleReassignments(model.state)) model.state.apply(record);
    expect(model.state.reassignments.openMoves()).toEqual([]);
  });

  it('ends when it is cancelled, once', () => {
    const { reassignmentId } = create([[3, 4]]);
    model.step();
    const { records, response } = cancelReassignment(model.state, reassignmentId);
    for (const record of records) model.state.apply(record);
    expect(response.moves[0]?.outcome).toBe('cancelled');
    expect(cancelReassignment(model.state, reassignmentId).records).toEqual([]);
    model.settle();
    expect([model.members(), model.holders()]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(reasonOf(() => cancelReassignment(model.state, 'x'))).toBe('REASSIGNMENT_NOT_FOUND');
  });

  it('fails with its topic, and when whoever carries it out gives up', () => {
    const { reassignmentId } = create([[3, 4]]);
    const [given] = settleReassignments(model.state, () => 'SERVICE_UNREACHABLE');
    expect(given).toMatchObject({
      reassignment: { moves: [{ outcome: 'failed', errorReason: 'SERVICE_UNREACHABLE' }] },
    });
    const tombstone = { topicId: MODEL_TOPIC, name: 'orders', deleteId: 'd', deleteTimeMs: 1 };
    model.state.apply({ type: 'topic_buried', tombstone });
    for (const record of settleReassignments(model.state)) model.state.apply(record);
    expect(requireReassignment(model.state, reassignmentId).moves[0]).toMatchObject({
      outcome: 'failed',
      errorReason: 'TOPIC_NOT_FOUND',
    });
  });

  it('is remembered for a while after its end, the oldest are forgotten first', () => {
    for (let index = 0; index < REASSIGNMENT_KEPT_COUNT_MAX + 2; index += 1) {
      const moves = [{ ...move([1, 4]), outcome: 'succeeded' as const, errorReason: '' as const }];
      const reassignment = { reassignmentId: `old ${index}`, version: 1, reason: 'balance' as const, requestId: '' };
      model.state.apply({ type: 'reassignment_put', reassignment: { ...reassignment, createTimeMs: index, moves } });
    }
    expect(settleReassignments(model.state)).toEqual([
      { type: 'reassignment_removed', reassignmentId: 'old 0' },
      { type: 'reassignment_removed', reassignmentId: 'old 1' },
    ]);
  });

  it('does not come back in an older version', () => {
    const first = create([[3, 4]]);
    for (const record of cancelReassignment(model.state, first.reassignmentId).records) model.state.apply(record);
    model.state.apply({ type: 'reassignment_put', reassignment: first });
    expect(model.state.reassignments.openMoves()).toEqual([]);
  });
});

describe('a replica set that is told', () => {
  it('never takes the place of a newer one', () => {
    const old = model.config;
    create([[3, 4]]);
    model.settle();
    const { config } = model;
    model.state.apply({ type: 'config_learned', topicId: MODEL_TOPIC, partition: 0, config: old });
    expect(model.config).toBe(config);
  });
});
