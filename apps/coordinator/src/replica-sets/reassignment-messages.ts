/** Reassignments as clients see them: names for ids, and how far each move is. */
import { isOpen } from '@partita/cluster';
import type { AskedMove, ClusterState, Move, MoveOutcome, Reassignment as KnownReassignment } from '@partita/cluster';
import { partitionKey, PartitaError } from '@partita/domain';
import { ReassignmentState } from '@partita/protocol';
import type { Reassignment, ReplicaMove } from '@partita/protocol';
import { timestamp } from '../topics/topic-messages.ts';

const ENDED: Readonly<Record<Exclude<MoveOutcome, 'open'>, ReassignmentState>> = {
  succeeded: ReassignmentState.REASSIGNMENT_STATE_SUCCEEDED,
  failed: ReassignmentState.REASSIGNMENT_STATE_FAILED,
  cancelled: ReassignmentState.REASSIGNMENT_STATE_CANCELLED,
};

/** Throws TOPIC_NOT_FOUND, and INVALID_REQUEST when the partition is not named. */
export function moveFromMessage(state: ClusterState, { partition: ref, fromBrokerId, toBrokerId }: ReplicaMove): Move {
  if (ref === undefined)
    throw new PartitaError('INVALID_REQUEST', 'each move names its partition', { field: 'moves.partition' });
  const topic = state.topicByName(ref.topic);
  if (topic?.life === 'active')
    return { topicId: topic.definition.topicId, partition: ref.partition, fromBrokerId, toBrokerId };
  throw new PartitaError('TOPIC_NOT_FOUND', `there is no topic "${ref.topic}"; look with: partita topic list`, {
    topic: ref.topic,
  });
}

export function reassignmentMessage(state: ClusterState, reassignment: KnownReassignment): Reassignment {
  const moves = reassignment.moves.map((move) => ({ move, progress: progressOf(state, move) }));
  const sum = (bytes: 'copied' | 'total') => moves.reduce((all, { progress }) => all + progress[bytes], 0n);
  return {
    reassignmentId: reassignment.reassignmentId,
    moves: moves.map(({ move, progress }) => ({
      partition: { topic: state.topicById(move.topicId)?.name ?? move.topicId, partition: move.partition },
      fromBrokerId: move.fromBrokerId,
      toBrokerId: move.toBrokerId,
      state: move.outcome === 'open' ? openState(progress.isBegun) : ENDED[move.outcome],
      errorReason: move.errorReason,
    })),
    state: stateOf(
      reassignment,
      moves.some(({ progress }) => progress.isBegun),
    ),
    createTime: timestamp(reassignment.createTimeMs),
    copiedBytes: sum('copied'),
    totalBytes: sum('total'),
  };
}

function stateOf(reassignment: KnownReassignment, isBegun: boolean): ReassignmentState {
  const { moves } = reassignment;
  if (isOpen(reassignment)) return openState(isBegun || moves.some(({ outcome }) => outcome !== 'open'));
  const has = (wanted: MoveOutcome) => moves.some(({ outcome }) => outcome === wanted);
  if (has('failed')) return ENDED.failed;
  return has('cancelled') ? ENDED.cancelled : ENDED.succeeded;
}

function openState(isBegun: boolean): ReassignmentState {
  return isBegun ? ReassignmentState.REASSIGNMENT_STATE_RUNNING : ReassignmentState.REASSIGNMENT_STATE_PENDING;
}

/** Bytes of the log that is copied, as its leader and its copy last reported them; none for a move that copies nothing. */
function progressOf(state: ClusterState, move: AskedMove): { isBegun: boolean; copied: bigint; total: bigint } {
  const { topicId, partition, fromBrokerId: from, toBrokerId: to, outcome } = move;
  const { config, leader = 0 } = state.partition(topicId, partition) ?? {};
  const everybody = config === undefined ? [] : [...config.replicas, ...config.learners];
  const isBegun = from !== to && everybody.some(({ brokerId }) => brokerId === to);
  const copied = isBegun ? bytesOn(state, move, to) : 0n;
  if (outcome === 'succeeded') return { isBegun, copied, total: copied };
  if (outcome !== 'open' || to === 0 || from === to) return { isBegun, copied: 0n, total: 0n };
  const total = bytesOn(state, move, leader);
  return { isBegun, copied: copied < total ? copied : total, total };
}

function bytesOn(state: ClusterState, { topicId, partition }: Move, brokerId: number): bigint {
  return state.broker(brokerId)?.replicas.get(partitionKey({ topicId, partition }))?.logBytes ?? 0n;
}
