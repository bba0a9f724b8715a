/**
 * What must move so that every broker has as many replicas and leaderships as the others, give or take one: pure, from the state
 * alone, so that it can be asked again after each move. A plan that has been carried out leaves an empty plan.
 */
import { BalanceBoard } from './balance-board.ts';
import type { BalanceRoles, BoardSlot } from './balance-board.ts';
import { exchangeOnce, placeLeaders } from './balance-leaders.ts';
import { best, placeReplicas } from './balance-replicas.ts';
import type { ClusterState } from '../cluster-state.ts';

/** `drain`: the broker is being emptied; `rack`: the partition shares a rack needlessly; `balance`: counts differ. */
export type MoveReason = 'drain' | 'rack' | 'balance';

/** One replica goes from a broker to another and takes its place in the set. */
export interface PlannedMove {
  readonly topicId: string;
  readonly partition: number;
  readonly fromBrokerId: number;
  readonly toBrokerId: number;
  readonly reason: MoveReason;
  /** Bytes to copy, as last reported. */
  readonly bytes: number;
}

/** Another member should lead. */
export interface PlannedLeader {
  readonly topicId: string;
  readonly partition: number;
  readonly fromBrokerId: number;
  readonly toBrokerId: number;
  readonly reason: 'drain' | 'balance';
  /** The set in its new order, once the moves of this partition are done. */
  readonly brokerIds: readonly number[];
}

/** A replica that no other broker can take: too few are up. */
export interface StuckReplica {
  readonly topicId: string;
  readonly partition: number;
  readonly brokerId: number;
}

export interface BalancePlan {
  /** In the order in which they are made, those off emptied brokers first. */
  readonly moves: readonly PlannedMove[];
  /** Made after the moves. */
  readonly leaders: readonly PlannedLeader[];
  readonly stuck: readonly StuckReplica[];
}

/** Exchanges in one plan; each evens two leaderships, and what is left comes with the next plan. */
const EXCHANGE_COUNT_MAX = 1000;

export function planBalance(state: ClusterState, roles: BalanceRoles): BalancePlan {
  const board = new BalanceBoard(state, roles);
  const counts = new Map(
    [...state.brokers()].map(({ facts: { brokerId } }) => [brokerId, board.replicaCount(brokerId)]),
  );
  placeReplicas(board);
  settleOrder(board);
  placeLeaders(board);
  for (let count = 0; count < EXCHANGE_COUNT_MAX && exchangeOnce(board); count += 1) placeLeaders(board);
  const leading = new Map(board.slots.map((slot) => [slot, slot.brokerIds[0]]));
  const moves = board.slots.flatMap((slot) => movesOf(board, slot));
  settleOrder(board);
  const leaders = board.slots.flatMap((slot) => leaderOf(board, slot, leading.get(slot)));
  return {
    moves: REASONS.flatMap((reason) =>
      inOrder(
        moves.filter((move) => move.reason === reason),
        counts,
      ),
    ),
    leaders,
    stuck: board.slots.flatMap(({ topicId, partition, brokerIds }) =>
      brokerIds.filter((id) => roles.drainingBrokerIds.has(id)).map((brokerId) => ({ topicId, partition, brokerId })),
    ),
  };
}

const REASONS: readonly MoveReason[] = ['drain', 'rack', 'balance'];

/**
 * Always from the broker that has most to the one that has least: so each move alone brings counts nearer to each other while any
 * can, and planning anew halfway does not turn back.
 */
function inOrder(moves: readonly PlannedMove[], counts: Map<number, number>): PlannedMove[] {
  const left = new Map<string, PlannedMove[]>();
  for (const move of moves) {
    const key = `${move.fromBrokerId} ${move.toBrokerId}`;
    left.set(key, [...(left.get(key) ?? []), move]);
  }
  const count = (id: number) => counts.get(id) ?? 0;
  const ordered: PlannedMove[] = [];
  while (ordered.length < moves.length) {
    const group = best(left.values(), ([move]) =>
      move === undefined ? undefined : [count(move.toBrokerId) - count(move.fromBrokerId)],
    );
    const move = group?.shift();
    if (move === undefined) break;
    counts.set(move.fromBrokerId, count(move.fromBrokerId) - 1);
    counts.set(move.toBrokerId, count(move.toBrokerId) + 1);
    ordered.push(move);
  }
  return ordered;
}

/** Each set in the order that its moves leave it in: a newcomer stands where the one that it replaces stood. */
function settleOrder(board: BalanceBoard): void {
  for (const slot of board.slots) {
    const { gone, come } = changes(slot);
    board.reorder(
      slot,
      slot.original.map((id) => {
        const index = gone.indexOf(id);
        return index < 0 ? id : (come[index] ?? id);
      }),
    );
  }
}

/** Members that leave and members that join, in pairs. */
function changes({ original, brokerIds }: BoardSlot): { gone: number[]; come: number[] } {
  return {
    gone: original.filter((id) => !brokerIds.includes(id)),
    come: brokerIds.filter((id) => !original.includes(id)),
  };
}

function movesOf(board: BalanceBoard, slot: BoardSlot): PlannedMove[] {
  const { topicId, partition, bytes } = slot;
  const { gone, come } = changes(slot);
  return gone.flatMap((fromBrokerId, index): PlannedMove[] => {
    const toBrokerId = come[index];
    if (toBrokerId === undefined) return [];
    const reason = moveReason(board, slot, fromBrokerId, toBrokerId);
    return [{ topicId, partition, fromBrokerId, toBrokerId, reason, bytes }];
  });
}

function moveReason(board: BalanceBoard, slot: BoardSlot, fromId: number, toId: number): MoveReason {
  if (board.roles.drainingBrokerIds.has(fromId)) return 'drain';
  const before = { ...slot, brokerIds: [...slot.original] };
  return (board.rackCost(before, fromId, toId) ?? 0) < 0 ? 'rack' : 'balance';
}

function leaderOf(board: BalanceBoard, slot: BoardSlot, toBrokerId: number | undefined): PlannedLeader[] {
  const { topicId, partition, brokerIds } = slot;
  const [fromBrokerId] = brokerIds;
  if (toBrokerId === undefined || fromBrokerId === undefined || fromBrokerId === toBrokerId) return [];
  const { drainingBrokerIds, leaderlessBrokerIds } = board.roles;
  const reason = drainingBrokerIds.has(fromBrokerId) || leaderlessBrokerIds.has(fromBrokerId) ? 'drain' : 'balance';
  const order = [toBrokerId, ...brokerIds.filter((id) => id !== toBrokerId)];
  return [{ topicId, partition, fromBrokerId, toBrokerId, reason, brokerIds: order }];
}
