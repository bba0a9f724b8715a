/**
 * Who should lead: off brokers that shall not, then evenly. A leadership passes from member to member of the sets that brokers
 * share; where no chain of sets leads from a broker with many to one with few, two brokers exchange replicas.
 */
import type { BalanceBoard, BoardSlot } from './balance-board.ts';
import { best, bestToMove } from './balance-replicas.ts';

/** Moves leaderships on the board until nothing is left to do. */
export function placeLeaders(board: BalanceBoard): void {
  for (const slot of board.slots) leaveLeaderless(board, slot);
  while (passOnce(board));
}

/** True when two brokers have exchanged replicas so that one leads one partition fewer; call `placeLeaders` before and after. */
export function exchangeOnce(board: BalanceBoard): boolean {
  const byCount = board.leadingIds.toSorted((a, b) => board.leaderCount(b) - board.leaderCount(a) || a - b);
  for (const fromId of byCount) {
    for (const toId of byCount.toReversed()) {
      if (board.leaderCount(fromId) - board.leaderCount(toId) >= 2 && exchange(board, fromId, toId)) return true;
    }
  }
  return false;
}

function leaveLeaderless(board: BalanceBoard, slot: BoardSlot): void {
  const [leaderId] = slot.brokerIds;
  const { drainingBrokerIds, leaderlessBrokerIds } = board.roles;
  if (leaderId === undefined || !(drainingBrokerIds.has(leaderId) || leaderlessBrokerIds.has(leaderId))) return;
  const members = slot.brokerIds.filter((id) => board.leadingIds.includes(id));
  const nextId = best(members, (id) => [board.leaderCount(id), board.topicLeaderCount(id, slot.topicId)]);
  if (nextId !== undefined) board.lead(slot, nextId);
}

/** True when a leadership has passed, straight or through others, to a broker that had at least two fewer. */
function passOnce(board: BalanceBoard): boolean {
  for (const startId of board.leadingIds.toSorted((a, b) => board.leaderCount(b) - board.leaderCount(a) || a - b)) {
    const reachedBy = new Map<number, { readonly fromId: number; readonly slot: BoardSlot }>();
    const queue = [startId];
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
      if (board.leaderCount(startId) - board.leaderCount(at) >= 2) {
        passAlong(board, startId, at, reachedBy);
        return true;
      }
      for (const [nextId, slot] of nextLeaders(board, at)) {
        if (nextId === startId || reachedBy.has(nextId)) continue;
        reachedBy.set(nextId, { fromId: at, slot });
        queue.push(nextId);
      }
    }
  }
  return false;
}

/** Who may lead what this broker leads, fewest leaders first, each with the slot whose topic gains most. */
function nextLeaders(board: BalanceBoard, brokerId: number): [number, BoardSlot][] {
  const led = [...board.held(brokerId)].filter(({ brokerIds }) => brokerIds[0] === brokerId);
  return board.leadingIds
    .toSorted((a, b) => board.leaderCount(a) - board.leaderCount(b) || a - b)
    .flatMap((id): [number, BoardSlot][] => {
      const shared = led.filter(({ brokerIds }) => id !== brokerId && brokerIds.includes(id));
      const slot = best(shared, ({ topicId, partition }) => [
        board.topicLeaderCount(id, topicId) - board.topicLeaderCount(brokerId, topicId),
        partition,
      ]);
      return slot === undefined ? [] : [[id, slot]];
    });
}

/** Each step of the chain is another slot, since a slot has one leader. */
function passAlong(
  board: BalanceBoard,
  startId: number,
  endId: number,
  reachedBy: ReadonlyMap<number, { readonly fromId: number; readonly slot: BoardSlot }>,
): void {
  for (let at = endId; at !== startId;) {
    const step = reachedBy.get(at);
    if (step === undefined) return;
    board.lead(step.slot, at);
    at = step.fromId;
  }
}

/** One that `fromId` leads goes to `toId`, which leads it then; one that `toId` only follows comes back. */
function exchange(board: BalanceBoard, fromId: number, toId: number): boolean {
  const given = bestToMove(
    board,
    fromId,
    toId,
    slotsWhere(board, fromId, (slot) => slot.brokerIds[0] !== fromId),
  );
  if (given === undefined) return false;
  const without = slotsWhere(board, toId, (slot) => slot === given || slot.brokerIds[0] === toId);
  const taken = bestToMove(board, toId, fromId, without);
  if (taken === undefined) return false;
  board.move(given, fromId, toId);
  board.move(taken, toId, fromId);
  return true;
}

function slotsWhere(board: BalanceBoard, brokerId: number, is: (slot: BoardSlot) => boolean): Set<BoardSlot> {
  return new Set([...board.held(brokerId)].filter(is));
}
