/**
 * Which replicas move: off brokers that are emptied, out of racks that a partition shares needlessly, then from brokers that
 * have more to those that have fewer until all counts differ by at most one.
 *
 * Invariant: no step makes a partition share racks more than before, but for what emptying a broker leaves no choice about; so
 * what one phase has mended no later one breaks, and a board that is done has no step left.
 */
import type { BalanceBoard, BoardSlot } from './balance-board.ts';

/** Moves replicas on the board until nothing is left to do. */
export function placeReplicas(board: BalanceBoard): void {
  for (const brokerId of board.roles.drainingBrokerIds) emptyBroker(board, brokerId);
  for (const slot of board.slots) while (leaveSharedRack(board, slot));
  while (evenOutOnce(board));
}

/** Largest logs first: the small ones fill what differences are left. A replica that no other broker can take stays. */
function emptyBroker(board: BalanceBoard, fromId: number): void {
  const slots = [...board.held(fromId)].sort((a, b) => b.bytes - a.bytes || compareSlots(a, b));
  for (const slot of slots) {
    const toId = best(board.targetIds, (id) => {
      const rackCost = board.rackCost(slot, fromId, id);
      if (rackCost === undefined) return undefined;
      const leaders = slot.brokerIds[0] === fromId ? leadersAsTarget(board, id) : 0;
      const ofTopic = board.topicReplicaCount(id, slot.topicId);
      return [rackCost, board.replicaCount(id), leaders, ofTopic, board.bytes(id)];
    });
    if (toId !== undefined) board.move(slot, fromId, toId);
  }
}

function leadersAsTarget(board: BalanceBoard, brokerId: number): number {
  return board.leadingIds.includes(brokerId) ? board.leaderCount(brokerId) : Number.MAX_SAFE_INTEGER;
}

/** True when a replica has moved from a rack that the partition shares to one that it shares less. */
function leaveSharedRack(board: BalanceBoard, slot: BoardSlot): boolean {
  const moves = slot.brokerIds
    .filter((fromId) => board.targetIds.includes(fromId))
    .flatMap((fromId) => board.targetIds.map((toId) => ({ fromId, toId })));
  const move = best(moves, ({ fromId, toId }) => {
    const rackCost = board.rackCost(slot, fromId, toId);
    if (rackCost === undefined || rackCost >= 0) return undefined;
    return [rackCost, board.replicaCount(toId) - board.replicaCount(fromId), leaderCost(board, slot, fromId, toId)];
  });
  if (move === undefined) return false;
  board.move(slot, move.fromId, move.toId);
  return true;
}

/** True when a broker has given a replica, straight or through others, to one that had at least two fewer. */
function evenOutOnce(board: BalanceBoard): boolean {
  const byCount = board.targetIds.toSorted(
    (a, b) => board.replicaCount(b) - board.replicaCount(a) || board.bytes(b) - board.bytes(a) || a - b,
  );
  for (const fromId of byCount) {
    const receivers = byCount.filter((id) => board.replicaCount(id) <= board.replicaCount(fromId) - 2).reverse();
    for (const toId of receivers) {
      const slot = bestToMove(board, fromId, toId);
      if (slot === undefined) continue;
      board.move(slot, fromId, toId);
      return true;
    }
    if (receivers.length > 0 && passAlong(board, fromId, new Set(receivers))) return true;
  }
  return false;
}

/** The shortest chain of brokers on which each gives one replica to the next; racks allow no straight move. */
function passAlong(board: BalanceBoard, startId: number, receivers: ReadonlySet<number>): boolean {
  const reachedFrom = new Map<number, number>();
  const queue = [startId];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    if (receivers.has(at)) return moveAlong(board, startId, at, reachedFrom);
    for (const nextId of board.targetIds) {
      if (nextId === startId || reachedFrom.has(nextId) || bestToMove(board, at, nextId) === undefined) continue;
      reachedFrom.set(nextId, at);
      queue.push(nextId);
    }
  }
  return false;
}

/** All or nothing: moves of one partition could stand in each other's way, so each edge takes another one. */
function moveAlong(
  board: BalanceBoard,
  startId: number,
  endId: number,
  reachedFrom: ReadonlyMap<number, number>,
): boolean {
  const moves: { slot: BoardSlot; fromId: number; toId: number }[] = [];
  const taken = new Set<BoardSlot>();
  for (let toId = endId; toId !== startId;) {
    const fromId = reachedFrom.get(toId) ?? startId;
    const slot = bestToMove(board, fromId, toId, taken);
    if (slot === undefined) return false;
    taken.add(slot);
    moves.push({ slot, fromId, toId });
    toId = fromId;
  }
  for (const { slot, fromId, toId } of moves) board.move(slot, fromId, toId);
  return true;
}

/** Replicas of one broker that are compared for a move; of more a part is looked at, evenly chosen. */
const CANDIDATE_COUNT = 500;

/** Among replicas that may go from one broker to another, the one whose move does most good besides; undefined = none may. */
export function bestToMove(
  board: BalanceBoard,
  fromId: number,
  toId: number,
  without: ReadonlySet<BoardSlot> = new Set(),
): BoardSlot | undefined {
  const held = board.held(fromId);
  const costOf = (slot: BoardSlot) => (without.has(slot) ? undefined : moveCost(board, slot, fromId, toId));
  const step = Math.ceil(held.size / CANDIDATE_COUNT);
  return best(everyNth(held, step), costOf) ?? (step > 1 ? best(held, costOf) : undefined);
}

function* everyNth<Item>(items: Iterable<Item>, step: number): Generator<Item> {
  let index = 0;
  for (const item of items) {
    if (index % step === 0) yield item;
    index += 1;
  }
}

function moveCost(board: BalanceBoard, slot: BoardSlot, fromId: number, toId: number): readonly number[] | undefined {
  const rackCost = board.rackCost(slot, fromId, toId);
  if (rackCost === undefined || rackCost > 0) return undefined;
  return [
    rackCost,
    // One that is to move anyway only goes elsewhere.
    slot.original.includes(fromId) ? 1 : 0,
    leaderCost(board, slot, fromId, toId),
    board.topicReplicaCount(toId, slot.topicId) - board.topicReplicaCount(fromId, slot.topicId),
    Math.abs((board.bytes(fromId) - board.bytes(toId)) / 2 - slot.bytes),
    slot.partition,
  ];
}

/** Leadership that goes along is welcome where it is missing; elsewhere it is one more thing that moves. */
function leaderCost(board: BalanceBoard, slot: BoardSlot, fromId: number, toId: number): number {
  if (slot.brokerIds[0] !== fromId) return 0;
  const isMissing = board.leadingIds.includes(toId) && board.leaderCount(fromId) - board.leaderCount(toId) >= 2;
  return isMissing ? -1 : 1;
}

/** The candidate of the least cost, compared number by number; the first of equals. Undefined costs are no candidates. */
export function best<Candidate>(
  candidates: Iterable<Candidate>,
  costOf: (candidate: Candidate) => readonly number[] | undefined,
): Candidate | undefined {
  let found: { candidate: Candidate; cost: readonly number[] } | undefined;
  for (const candidate of candidates) {
    const cost = costOf(candidate);
    if (cost !== undefined && (found === undefined || isLess(cost, found.cost))) found = { candidate, cost };
  }
  return found?.candidate;
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}

function compareSlots(a: BoardSlot, b: BoardSlot): number {
  return a.topicId < b.topicId ? -1 : a.topicId > b.topicId ? 1 : a.partition - b.partition;
}
