/**
 * The board on which balance is planned: who holds which replica, changed move by move, with the counts that moves are judged by.
 * A moved replica takes the place of the old one in its set, so a set's first broker stays the one that should lead.
 */
import { invariant, partitionKey } from '@partita/domain';
import type { ClusterState } from '../cluster-state.ts';

/** A partition on the board. */
export interface BoardSlot {
  readonly topicId: string;
  readonly partition: number;
  /** Bytes of its log, those of the largest replica that was reported. */
  readonly bytes: number;
  /** As it is now, preferred leader first. */
  readonly original: readonly number[];
  /** As it will be. */
  brokerIds: number[];
}

/** Which brokers take part, and how. */
export interface BalanceRoles {
  /** To be emptied. */
  readonly drainingBrokerIds: ReadonlySet<number>;
  /** Keep their replicas and shall not lead. */
  readonly leaderlessBrokerIds: ReadonlySet<number>;
}

/** What a broker has. Brokers that are silent for the moment keep what they have and are given nothing. */
class BrokerTally {
  readonly slots = new Set<BoardSlot>();
  readonly replicasByTopic = new Map<string, number>();
  readonly leadersByTopic = new Map<string, number>();
  leaderCount = 0;
  bytes = 0;
}

export class BalanceBoard {
  readonly slots: readonly BoardSlot[];
  /** Brokers that may take replicas, by id. */
  readonly targetIds: readonly number[];
  /** Those of them that may lead. */
  readonly leadingIds: readonly number[];
  readonly roles: BalanceRoles;
  readonly #racks = new Map<number, string>();
  readonly #tallies = new Map<number, BrokerTally>();

  constructor(state: ClusterState, roles: BalanceRoles) {
    this.roles = roles;
    const up = [...state.brokers()].filter(({ facts }) => facts.status === 'up').map(({ facts }) => facts.brokerId);
    this.targetIds = up.filter((id) => !roles.drainingBrokerIds.has(id)).sort((a, b) => a - b);
    this.leadingIds = this.targetIds.filter((id) => !roles.leaderlessBrokerIds.has(id));
    for (const { facts } of state.brokers()) if (facts.rack !== '') this.#racks.set(facts.brokerId, facts.rack);
    this.slots = boardSlots(state);
    for (const slot of this.slots) slot.brokerIds.forEach((id, place) => this.#count(slot, id, place, 1));
  }

  /** The slots of which a broker holds a replica. */
  held(brokerId: number): ReadonlySet<BoardSlot> {
    return this.#tally(brokerId).slots;
  }

  replicaCount(brokerId: number): number {
    return this.#tally(brokerId).slots.size;
  }

  leaderCount(brokerId: number): number {
    return this.#tally(brokerId).leaderCount;
  }

  bytes(brokerId: number): number {
    return this.#tally(brokerId).bytes;
  }

  topicReplicaCount(brokerId: number, topicId: string): number {
    return this.#tally(brokerId).replicasByTopic.get(topicId) ?? 0;
  }

  topicLeaderCount(brokerId: number, topicId: string): number {
    return this.#tally(brokerId).leadersByTopic.get(topicId) ?? 0;
  }

  /** By how much the pairs of replicas that share a rack grow when the replica moves; undefined when it cannot. */
  rackCost(slot: BoardSlot, fromId: number, toId: number): number | undefined {
    const [fromRack, toRack] = [this.#rack(fromId), this.#rack(toId)];
    let cost = 0;
    for (const id of slot.brokerIds) {
      if (id === toId) return undefined;
      if (id === fromId) continue;
      const rack = this.#rack(id);
      if (rack === toRack) cost += 1;
      if (rack === fromRack) cost -= 1;
    }
    return cost;
  }

  move(slot: BoardSlot, fromId: number, toId: number): void {
    const place = slot.brokerIds.indexOf(fromId);
    invariant(place >= 0 && !slot.brokerIds.includes(toId), `broker ${fromId} cannot give a replica to ${toId}`);
    this.#count(slot, fromId, place, -1);
    slot.brokerIds[place] = toId;
    this.#count(slot, toId, place, 1);
  }

  /** Another member becomes the one that should lead; the others keep their order. */
  lead(slot: BoardSlot, brokerId: number): void {
    this.reorder(slot, [brokerId, ...slot.brokerIds.filter((id) => id !== brokerId)]);
  }

  /** The same members in another order. */
  reorder(slot: BoardSlot, brokerIds: number[]): void {
    slot.brokerIds.forEach((id, place) => this.#count(slot, id, place, -1));
    slot.brokerIds = brokerIds;
    slot.brokerIds.forEach((id, place) => this.#count(slot, id, place, 1));
  }

  /** A broker without a rack is a rack of its own. */
  #rack(brokerId: number): string | number {
    return this.#racks.get(brokerId) ?? brokerId;
  }

  #tally(brokerId: number): BrokerTally {
    const known = this.#tallies.get(brokerId);
    if (known !== undefined) return known;
    const tally = new BrokerTally();
    this.#tallies.set(brokerId, tally);
    return tally;
  }

  #count(slot: BoardSlot, brokerId: number, place: number, by: 1 | -1): void {
    const tally = this.#tally(brokerId);
    if (by === 1) tally.slots.add(slot);
    else tally.slots.delete(slot);
    tally.bytes += by * slot.bytes;
    add(tally.replicasByTopic, slot.topicId, by);
    if (place > 0) return;
    tally.leaderCount += by;
    add(tally.leadersByTopic, slot.topicId, by);
  }
}

function add(counts: Map<string, number>, topicId: string, by: number): void {
  counts.set(topicId, (counts.get(topicId) ?? 0) + by);
}

/** Topics that are being made or deleted hold still; a partition of which nobody has told the replicas cannot move. */
function boardSlots(state: ClusterState): BoardSlot[] {
  const brokers = [...state.brokers()];
  return [...state.topics()].flatMap(({ definition: { topicId }, life, partitions }) =>
    life === 'deleting'
      ? []
      : partitions.flatMap(({ partition, config }) => {
          if (config === undefined) return [];
          const original = config.replicas.map(({ brokerId }) => brokerId);
          const key = partitionKey({ topicId, partition });
          const bytes = Math.max(0, ...brokers.map(({ replicas }) => Number(replicas.get(key)?.logBytes ?? 0n)));
          return [{ topicId, partition, bytes, original, brokerIds: [...original] }];
        }),
  );
}
