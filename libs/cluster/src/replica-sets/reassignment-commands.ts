/** Commands on reassignments: begin moves, end them, and see what has become of them. */
import {
  PartitaError,
  REASSIGNMENT_KEPT_COUNT_MAX,
  REASSIGNMENT_MOVE_COUNT_MAX,
  REASSIGNMENT_OPEN_COUNT_MAX,
  REQUEST_ID_CHARS_MAX,
} from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import type { ClusterState, ClusterTopic } from '../cluster-state.ts';
import { mayTakeReplicas } from '../topics/placement-brokers.ts';
import { isOpen } from './reassignment.ts';
import type { AskedMove, Move, MoveOutcome, Reassignment, ReassignmentReason } from './reassignment.ts';
import type { ClusterRecord, Decision } from '../records.ts';
import { afterMoves, hasReplica } from './wanted-replicas.ts';

export interface CreateReassignmentCommand {
  readonly moves: readonly Move[];
  readonly reason: ReassignmentReason;
  /** Empty = none. */
  readonly requestId: string;
  readonly nowMs: number;
  readonly newId: () => string;
}

/** `existing`: this very request has begun it already. */
export interface CreateReassignmentResponse {
  readonly kind: 'created' | 'existing';
  readonly reassignment: Reassignment;
}

export function createReassignment(
  state: ClusterState,
  command: CreateReassignmentCommand,
): Decision<CreateReassignmentResponse> {
  const { moves, reason, requestId, nowMs, newId } = command;
  if (requestId.length > REQUEST_ID_CHARS_MAX)
    throw invalid('request_id', `has at most ${REQUEST_ID_CHARS_MAX} characters`);
  const all = [...state.reassignments.all()];
  const existing = requestId === '' ? undefined : all.find((known) => known.requestId === requestId);
  if (existing !== undefined) return { records: [], response: { kind: 'existing', reassignment: existing } };
  if (moves.length === 0) throw invalid('moves', 'names nothing to move');
  checkLimit('moves of one reassignment', moves.length, REASSIGNMENT_MOVE_COUNT_MAX);
  checkLimit('open reassignments', all.filter(isOpen).length + 1, REASSIGNMENT_OPEN_COUNT_MAX);
  moves.forEach((move, index) => checkMove(state, move, moves.slice(0, index).filter(ofSamePartition(move))));
  const reassignment: Reassignment = {
    reassignmentId: newId(),
    version: 1,
    reason,
    requestId,
    createTimeMs: nowMs,
    moves: moves.map(({ topicId, partition, fromBrokerId, toBrokerId }) => ({
      topicId,
      partition,
      fromBrokerId,
      toBrokerId,
      outcome: 'open',
      errorReason: '',
    })),
  };
  return {
    records: [{ type: 'reassignment_put', reassignment }],
    response: { kind: 'created', reassignment },
  };
}

/** Ends what is open of it. What is half made is tidied up, or completed where that is shorter. */
export function cancelReassignment(state: ClusterState, reassignmentId: string): Decision<Reassignment> {
  const known = requireReassignment(state, reassignmentId);
  if (!isOpen(known)) return { records: [], response: known };
  const moves = known.moves.map((move) => (move.outcome === 'open' ? ended(move, 'cancelled') : move));
  const reassignment = { ...known, version: known.version + 1, moves };
  return { records: [{ type: 'reassignment_put', reassignment }], response: reassignment };
}

export function requireReassignment(state: ClusterState, reassignmentId: string): Reassignment {
  const known = state.reassignments.get(reassignmentId);
  if (known !== undefined) return known;
  throw new PartitaError(
    'REASSIGNMENT_NOT_FOUND',
    `there is no reassignment "${reassignmentId}": the last ${REASSIGNMENT_KEPT_COUNT_MAX} that ended are remembered`,
    { reassignment: reassignmentId },
  );
}

/** What has become of open moves by now, and which ended reassignments are forgotten. `failed`: moves that are given up. */
export function settleReassignments(
  state: ClusterState,
  failed: (move: Move) => ErrorReason | undefined = () => undefined,
): ClusterRecord[] {
  const records: ClusterRecord[] = [];
  const ended: Reassignment[] = [];
  for (const known of state.reassignments.all()) {
    const settled = isOpen(known) ? settle(state, known, failed) : known;
    if (settled !== known) records.push({ type: 'reassignment_put', reassignment: settled });
    if (!isOpen(settled)) ended.push(settled);
  }
  const tooMany = ended.length - REASSIGNMENT_KEPT_COUNT_MAX;
  for (const { reassignmentId } of ended.slice(0, Math.max(0, tooMany)))
    records.push({ type: 'reassignment_removed', reassignmentId });
  return records;
}

function settle(
  state: ClusterState,
  known: Reassignment,
  failed: (move: Move) => ErrorReason | undefined,
): Reassignment {
  const moves = known.moves.map((move) => {
    if (move.outcome !== 'open') return move;
    if (isReached(state, move)) return ended(move, 'succeeded');
    const reason = hopeless(state, move) ?? failed(move);
    return reason === undefined ? move : ended(move, 'failed', reason);
  });
  const changed = moves.some((move, index) => move !== known.moves[index]);
  return changed ? { ...known, version: known.version + 1, moves } : known;
}

function ended(move: AskedMove, outcome: MoveOutcome, errorReason: ErrorReason | '' = ''): AskedMove {
  return { ...move, outcome, errorReason };
}

/** The set that is in force is as asked for, and what left it is deleted as far as its broker answers. */
function isReached(state: ClusterState, { topicId, partition, fromBrokerId: from, toBrokerId: to }: Move): boolean {
  const replicas = state.partition(topicId, partition)?.config?.replicas;
  if (replicas === undefined) return false;
  const isMember = (id: number) => replicas.some(({ brokerId }) => brokerId === id);
  if (from === to) return replicas[0]?.brokerId === to;
  const isGone = from === 0 || (!isMember(from) && !hasReplica(state, from, topicId, partition));
  return isGone && (to === 0 || isMember(to));
}

function hopeless(
  state: ClusterState,
  { topicId, partition, fromBrokerId: from, toBrokerId: to }: Move,
): ErrorReason | undefined {
  const topic = state.topicById(topicId);
  if (state.tombstone(topicId) !== undefined || topic?.life === 'deleting') return 'TOPIC_NOT_FOUND';
  const replicas = topic?.partitions[partition]?.config?.replicas;
  if (replicas === undefined) return undefined;
  if (to !== 0 && state.broker(to) === undefined) return 'BROKER_NOT_FOUND';
  return from === to && !replicas.some(({ brokerId }) => brokerId === to) ? 'REPLICA_NOT_FOUND' : undefined;
}

function ofSamePartition({ topicId, partition }: Move): (other: Move) => boolean {
  return (other) => other.topicId === topicId && other.partition === partition;
}

/** `before`: moves of the same partition that the request names before this one. */
function checkMove(state: ClusterState, move: Move, before: readonly Move[]): void {
  const { topic, members } = requirePartition(state, move);
  const { partition, fromBrokerId: from, toBrokerId: to } = move;
  const name = `${topic.name}/${partition}`;
  const [open] = state.reassignments.openMovesOf(move.topicId, partition);
  if (open !== undefined) {
    throw new PartitaError(
      'REASSIGNMENT_UNDER_WAY',
      `${name} is part of reassignment ${open.reassignmentId}: wait for its end, or cancel it`,
      { reassignment: open.reassignmentId, topic: topic.name, partition: String(partition) },
    );
  }
  const ids = afterMoves(members, before);
  if (from === 0 && to === 0) throw invalid('moves', `says neither from where nor to where ${name} moves`);
  if (from !== 0 && !ids.includes(from)) {
    throw new PartitaError(
      'REPLICA_NOT_FOUND',
      `broker ${from} has no replica of ${name}; brokers ${ids.join(', ')} have`,
      { topic: topic.name, partition: String(partition), broker_id: String(from) },
    );
  }
  if (from === to) return;
  if (to !== 0) checkTarget(state, to, name, ids);
  checkFactor(topic, name, move, ids.length);
}

function requirePartition(
  state: ClusterState,
  { topicId, partition }: Move,
): { topic: ClusterTopic; members: number[] } {
  const topic = state.topicById(topicId);
  if (topic?.life !== 'active') {
    throw new PartitaError('TOPIC_NOT_FOUND', `there is no topic ${topicId}; look with: partita topic list`, {
      topic: topicId,
    });
  }
  const known = topic.partitions[partition];
  if (known === undefined) {
    throw new PartitaError(
      'PARTITION_NOT_FOUND',
      `topic "${topic.name}" has partitions 0 to ${topic.partitions.length - 1}, not ${partition}`,
      { topic: topic.name, partition: String(partition), partition_count: String(topic.partitions.length) },
    );
  }
  if (known.config !== undefined) return { topic, members: known.config.replicas.map(({ brokerId }) => brokerId) };
  throw new PartitaError('REBUILDING', `nobody has told yet which replicas ${topic.name}/${partition} has: repeat`, {});
}

function checkTarget(state: ClusterState, to: number, name: string, ids: readonly number[]): void {
  const metadata = { broker_id: String(to) };
  if (state.broker(to) === undefined)
    throw new PartitaError('BROKER_NOT_FOUND', `there is no broker ${to}; look with: partita broker list`, metadata);
  if (ids.includes(to)) throw invalid('moves', `would give broker ${to} a second replica of ${name}`);
  if (mayTakeReplicas(state, to)) return;
  throw new PartitaError(
    'NOT_ENOUGH_BROKERS',
    `broker ${to} takes no replicas now: start it, or name another`,
    metadata,
  );
}

/** Moves do not change how many replicas a partition has in the end: the topic's replication factor does. */
function checkFactor(topic: ClusterTopic, name: string, { fromBrokerId, toBrokerId }: Move, count: number): void {
  const { replicationFactor } = topic.definition;
  const way = `change the topic's replication_factor, which is ${replicationFactor}`;
  if (fromBrokerId === 0 && count >= replicationFactor)
    throw invalid('moves', `would give ${name} ${count + 1} replicas: ${way}`);
  if (toBrokerId === 0 && count <= replicationFactor)
    throw invalid('moves', `would leave ${name} ${count - 1} replicas: ${way}`);
}

function checkLimit(what: string, count: number, limit: number): void {
  if (count <= limit) return;
  throw new PartitaError('LIMIT_EXCEEDED', `at most ${limit} ${what}, not ${count}: ask for fewer at once`, {
    limit: String(limit),
    value: String(count),
  });
}

function invalid(field: string, why: string): PartitaError {
  return new PartitaError('INVALID_REQUEST', `${field} ${why}`, { field });
}
