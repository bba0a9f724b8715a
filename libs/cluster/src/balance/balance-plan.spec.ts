import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planBalance } from './balance-plan.ts';
import type { BalancePlan } from './balance-plan.ts';
import { clusterOf } from '../testing/uneven-cluster.ts';
import type { UnevenCluster } from '../testing/uneven-cluster.ts';

const NONE = new Set<number>();

/** Carries a plan out on plain sets, move by move, and refuses what a leader would refuse. */
function carryOut({ sets, ...rest }: UnevenCluster, { moves, leaders }: BalancePlan): UnevenCluster {
  const after = sets.map((set) => [...set]);
  for (const { partition, fromBrokerId, toBrokerId } of moves) {
    const set = after[partition]!;
    expect(set).toContain(fromBrokerId);
    expect(set).not.toContain(toBrokerId);
    set[set.indexOf(fromBrokerId)] = toBrokerId;
  }
  for (const { partition, fromBrokerId, toBrokerId, brokerIds } of leaders) {
    expect(after[partition]![0]).toBe(fromBrokerId);
    expect(brokerIds[0]).toBe(toBrokerId);
    expect([...brokerIds].sort()).toEqual(after[partition]!.sort());
    after[partition] = [...brokerIds];
  }
  return { sets: after, ...rest };
}

function plan(cluster: UnevenCluster): BalancePlan {
  const { draining = NONE, leaderless = NONE } = cluster;
  return planBalance(clusterOf(cluster), { drainingBrokerIds: draining, leaderlessBrokerIds: leaderless });
}

function replicaCounts({ sets, racks, draining = NONE }: UnevenCluster): number[] {
  const ids = racks.map((_, index) => index + 1).filter((id) => !draining.has(id));
  return ids.map((id) => sets.filter((set) => set.includes(id)).length);
}

function leaderCounts({ sets, racks, draining = NONE, leaderless = NONE }: UnevenCluster): number[] {
  const ids = racks.map((_, index) => index + 1).filter((id) => !draining.has(id) && !leaderless.has(id));
  return ids.map((id) => sets.filter(([leader]) => leader === id).length);
}

function spread(counts: readonly number[]): number {
  return Math.max(...counts) - Math.min(...counts);
}

/** Pairs of replicas of one partition that share a rack. */
function sharedRacks({ sets, racks }: UnevenCluster): number {
  const rack = (id: number) => racks[id - 1] || id;
  const pairs = (set: readonly number[]) =>
    set.flatMap((a, index) => set.slice(index + 1).filter((b) => rack(a) === rack(b))).length;
  return sets.reduce((sum, set) => sum + pairs(set), 0);
}

/** Moves that no plan can do without: whoever has more than its share has to give that away. */
function fewestMoves(cluster: UnevenCluster): number {
  const { sets, draining = NONE } = cluster;
  const counts = replicaCounts(cluster).sort((a, b) => b - a);
  const total = sets.flat().length;
  const drained = total - counts.reduce((sum, count) => sum + count, 0);
  const [share, rest] = [Math.floor(total / counts.length), total % counts.length];
  const excess = counts.map((count, index) => Math.max(0, count - share - (index < rest ? 1 : 0)));
  return (draining.size > 0 ? drained : 0) + excess.reduce((sum, count) => sum + count, 0);
}

/** Brokers 1 to n; sets that are as uneven as chance makes them. */
function anyCluster(rackOf: (index: number) => fc.Arbitrary<string>, emptied: boolean): fc.Arbitrary<UnevenCluster> {
  return fc.integer({ min: 1, max: 12 }).chain((brokerCount) => {
    const ids = Array.from({ length: brokerCount }, (_, index) => index + 1);
    const drainedMax = emptied ? Math.max(0, brokerCount - 4) : 0;
    // Low ids are likelier: some brokers have a lot, others nothing.
    const skewed = fc.tuple(fc.constantFrom(...ids), fc.constantFrom(...ids)).map((pair) => Math.min(...pair));
    return fc.record({
      racks: fc.tuple(...ids.map((_, index) => rackOf(index))),
      sets: fc.array(fc.uniqueArray(skewed, { minLength: 1, maxLength: Math.min(4, brokerCount) }), {
        minLength: 1,
        maxLength: 200,
      }),
      draining: fc.uniqueArray(fc.constantFrom(...ids), { maxLength: drainedMax }).map((found) => new Set(found)),
      topics: fc.integer({ min: 1, max: 5 }),
      bytes: fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 20 }),
    });
  });
}

const noRacks = anyCluster(() => fc.constant(''), false);
const equalRacks = anyCluster((index) => fc.constant(['a', 'b', 'c'][index % 3]!), false).filter(
  ({ racks, sets }) => racks.length % 3 === 0 && sets.every((set) => set.length <= 3),
);
const anything = anyCluster(() => fc.constantFrom('', 'a', 'b', 'c'), true);

describe('a plan for brokers without racks', () => {
  it('ends with replicas that differ by at most one, in as few moves as there can be', () => {
    fc.assert(
      fc.property(noRacks, (cluster) => {
        const leaderless = new Set(cluster.racks.map((_, index) => index + 1));
        const made = plan({ ...cluster, leaderless });
        expect(spread(replicaCounts(carryOut(cluster, made)))).toBeLessThanOrEqual(1);
        expect(made.moves).toHaveLength(fewestMoves(cluster));
      }),
    );
  });

  it('needs at most two moves more for each leadership that only an exchange of replicas can even out', () => {
    fc.assert(
      fc.property(noRacks, (cluster) => {
        const made = plan(cluster);
        expect(spread(replicaCounts(carryOut(cluster, made)))).toBeLessThanOrEqual(1);
        expect(made.moves.length - fewestMoves(cluster)).toBeLessThanOrEqual(2 * Math.max(...leaderCounts(cluster)));
      }),
    );
  });

  it('ends with leaders that differ by at most one wherever a partition has more than one replica', () => {
    const several = noRacks.filter(({ sets }) => sets.every((set) => set.length > 1));
    fc.assert(
      fc.property(several, (cluster) => {
        expect(spread(leaderCounts(carryOut(cluster, plan(cluster))))).toBeLessThanOrEqual(1);
      }),
    );
  });
});

it('evens out across racks of equal size, and no partition shares a rack', () => {
  fc.assert(
    fc.property(equalRacks, (cluster) => {
      const after = carryOut(cluster, plan(cluster));
      expect(spread(replicaCounts(after))).toBeLessThanOrEqual(1);
      expect(sharedRacks(after)).toBe(0);
    }),
  );
});

describe('a plan for any brokers', () => {
  it('keeps every factor, empties brokers, and shares racks no more than before', () => {
    fc.assert(
      fc.property(anything, (cluster) => {
        const made = plan(cluster);
        const after = carryOut(cluster, made);
        expect(after.sets.map((set) => set.length)).toEqual(cluster.sets.map((set) => set.length));
        expect(after.sets.every((set) => new Set(set).size === set.length)).toBe(true);
        const left = after.sets.flat().filter((id) => cluster.draining?.has(id));
        expect(left).toHaveLength(made.stuck.length);
        if (cluster.racks.length >= 8) expect(left).toEqual([]);
        if (cluster.draining?.size === 0) expect(sharedRacks(after)).toBeLessThanOrEqual(sharedRacks(cluster));
      }),
    );
  });

  it('leaves nothing to do once it is carried out', () => {
    fc.assert(
      fc.property(anything, (cluster) => {
        const again = plan(carryOut(cluster, plan(cluster)));
        expect({ moves: again.moves, leaders: again.leaders }).toEqual({ moves: [], leaders: [] });
      }),
    );
  });

  it('comes to its end as well when it is planned anew after each single move', () => {
    fc.assert(
      fc.property(anything, (cluster) => {
        const first = plan(cluster);
        let now = cluster;
        let steps = 0;
        for (let next = first; next.moves.length + next.leaders.length > 0; next = plan(now)) {
          const moves = next.moves.slice(0, 1);
          now = carryOut(now, { ...next, moves, leaders: moves.length > 0 ? [] : next.leaders.slice(0, 1) });
          steps += 1;
          expect(steps).toBeLessThanOrEqual(3 * (first.moves.length + first.leaders.length) + 10);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a broker that joins', () => {
  it('takes its share of every topic and of the bytes', () => {
    const sets = Array.from({ length: 24 }, (_, index) => [
      1 + (index % 3),
      1 + ((index + 1) % 3),
      1 + ((index + 2) % 3),
    ]);
    const cluster = { racks: ['', '', '', ''], sets, topics: 2, bytes: [100, 900] };
    const made = plan(cluster);
    expect(made.moves).toHaveLength(18);
    expect(made.moves.every(({ toBrokerId, reason }) => toBrokerId === 4 && reason === 'balance')).toBe(true);
    const after = carryOut(cluster, made);
    expect(replicaCounts(after)).toEqual([18, 18, 18, 18]);
    expect(leaderCounts(after)).toEqual([6, 6, 6, 6]);
    const ofTopic = (topic: number) => made.moves.filter(({ partition }) => partition % 2 === topic).length;
    expect([ofTopic(0), ofTopic(1)]).toEqual([9, 9]);
  });

  it('gets the partitions whose bytes even out the disks, among those that it may get', () => {
    const cluster = { racks: ['', ''], sets: [[1], [1], [1], [1]], bytes: [700, 100, 100, 700] };
    const moved = plan(cluster).moves.map(({ bytes }) => bytes);
    expect(moved.sort()).toEqual([100, 700]);
  });
});

it('moves leaderships off a broker that shall not lead, and leaves its replicas', () => {
  const sets = Array.from({ length: 6 }, (_, index) => [1 + (index % 3), 1 + ((index + 1) % 3), 1 + ((index + 2) % 3)]);
  const made = plan({ racks: ['', '', ''], sets, leaderless: new Set([2]) });
  expect(made.moves).toEqual([]);
  expect(made.leaders.map(({ fromBrokerId, reason }) => [fromBrokerId, reason])).toEqual([
    [2, 'drain'],
    [2, 'drain'],
  ]);
  expect(made.leaders.map(({ toBrokerId }) => toBrokerId).sort()).toEqual([1, 3]);
});

it('says which replicas stay on a broker that cannot be emptied', () => {
  const made = plan({ racks: ['', ''], sets: [[1, 2], [2]], draining: new Set([2]) });
  expect(made.moves.map(({ partition, toBrokerId }) => [partition, toBrokerId])).toEqual([[1, 1]]);
  expect(made.stuck.map(({ partition, brokerId }) => [partition, brokerId])).toEqual([[0, 2]]);
});

it('gives a silent broker nothing and takes nothing from it', () => {
  const made = plan({ racks: ['', '', ''], sets: [[1], [1], [1], [3], [3]], down: new Set([3]) });
  expect(made.moves.map(({ fromBrokerId, toBrokerId }) => [fromBrokerId, toBrokerId])).toEqual([[1, 2]]);
});

it('plans for ten thousand partitions in as few moves', () => {
  const sets = Array.from({ length: 10_000 }, (_, index) => [0, 1, 2].map((step) => 1 + ((index + step) % 11)));
  const made = plan({ racks: Array.from({ length: 12 }, () => ''), sets, topics: 10 });
  expect(made.moves).toHaveLength(2500);
});
