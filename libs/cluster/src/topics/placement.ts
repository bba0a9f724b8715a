/**
 * Where the replicas of new partitions go. Each takes brokers of different racks while there are any, of those the least
 * loaded; the first of a set is the preferred leader, and leaders are spread as evenly as the sets allow.
 *
 * Invariant: starting from brokers whose loads differ by at most one, in racks of equal size, replicas and leaders of all
 * brokers still differ by at most one.
 */
import { invariant } from '@partita/domain';

/** A broker that may take replicas, and what it has. */
export interface PlacementBroker {
  readonly brokerId: number;
  /** Empty = a rack of its own. */
  readonly rack: string;
  readonly replicaCount: number;
  readonly leaderCount: number;
}

interface Load {
  readonly brokerId: number;
  readonly rack: string;
  replicaCount: number;
  leaderCount: number;
}

/** For each new partition its brokers, preferred leader first. Needs at least `replicationFactor` brokers. */
export function placePartitions(
  partitionCount: number,
  replicationFactor: number,
  brokers: readonly PlacementBroker[],
): number[][] {
  invariant(
    brokers.length >= replicationFactor,
    `${replicationFactor} replicas need as many brokers, not ${brokers.length}`,
  );
  const loads = brokers.map((broker): Load => ({ ...broker, rack: broker.rack || `broker ${broker.brokerId}` }));
  const sets: Load[][] = [];
  for (let partition = 0; partition < partitionCount; partition += 1) {
    const set = chooseSet(loads, replicationFactor);
    for (const load of set) load.replicaCount += 1;
    const leader = set.reduce((best, load) => (load.leaderCount < best.leaderCount ? load : best));
    leader.leaderCount += 1;
    sets.push([leader, ...set.filter((load) => load !== leader)]);
  }
  while (evenOutLeaders(loads, sets));
  return sets.map((set) => set.map((load) => load.brokerId));
}

function chooseSet(loads: readonly Load[], replicationFactor: number): Load[] {
  const rackLoads = new Map<string, number>();
  for (const { rack, replicaCount } of loads) rackLoads.set(rack, (rackLoads.get(rack) ?? 0) + replicaCount);
  const byLoad = (a: Load, b: Load) =>
    a.replicaCount - b.replicaCount ||
    (rackLoads.get(a.rack) ?? 0) - (rackLoads.get(b.rack) ?? 0) ||
    a.leaderCount - b.leaderCount ||
    a.brokerId - b.brokerId;
  const sorted = loads.toSorted(byLoad);
  const set: Load[] = [];
  while (set.length < replicationFactor) {
    const left = sorted.filter((load) => !set.includes(load));
    const next = left.find((load) => set.every((chosen) => chosen.rack !== load.rack)) ?? left[0];
    invariant(next !== undefined, 'there are at least as many brokers as replicas');
    set.push(next);
  }
  return set;
}

/**
 * Moves one leadership along a chain of sets from a broker to one that leads at least two fewer; false when no such chain
 * exists. In a set of two or more the leader and a follower can change places, which changes no replica count.
 */
function evenOutLeaders(loads: readonly Load[], sets: Load[][]): boolean {
  for (const start of loads.toSorted((a, b) => b.leaderCount - a.leaderCount)) {
    const reachedBy = new Map<Load, { from: Load; set: Load[] }>();
    const queue = [start];
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
      if (start.leaderCount - at.leaderCount >= 2) {
        shiftLeadership(start, at, reachedBy);
        return true;
      }
      for (const set of sets) {
        if (set[0] !== at) continue;
        for (const follower of set.slice(1)) {
          if (follower === start || reachedBy.has(follower)) continue;
          reachedBy.set(follower, { from: at, set });
          queue.push(follower);
        }
      }
    }
  }
  return false;
}

function shiftLeadership(start: Load, end: Load, reachedBy: ReadonlyMap<Load, { from: Load; set: Load[] }>): void {
  start.leaderCount -= 1;
  end.leaderCount += 1;
  for (let at = end; at !== start;) {
    const step = reachedBy.get(at);
    invariant(step !== undefined, 'a chain leads back to its start');
    const members = step.set.filter((load) => load !== at);
    step.set.splice(0, step.set.length, at, ...members);
    at = step.from;
  }
}
