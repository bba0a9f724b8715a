import fc from 'fast-check';
import { expect, it } from 'vitest';
import { placePartitions } from './placement.ts';
import type { PlacementBroker } from './placement.ts';

function brokers(racks: readonly string[]): PlacementBroker[] {
  return racks.map((rack, index) => ({ brokerId: index + 1, rack, replicaCount: 0, leaderCount: 0 }));
}

function counts(ids: readonly number[], brokerCount: number): number[] {
  return Array.from({ length: brokerCount }, (_, index) => ids.filter((id) => id === index + 1).length);
}

function spread(values: readonly number[]): number {
  return Math.max(...values) - Math.min(...values);
}

const anyCluster = fc
  .record({ rackCount: fc.integer({ min: 1, max: 4 }), perRack: fc.integer({ min: 1, max: 4 }) })
  .map(({ rackCount, perRack }) =>
    Array.from({ length: rackCount * perRack }, (_, index) => `rack ${index % rackCount}`),
  );

it('spreads replicas and leaders so that brokers differ by at most one', () => {
  fc.assert(
    fc.property(
      anyCluster,
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 5 }),
      (racks, partitionCount, wanted) => {
        const replicationFactor = Math.min(wanted, racks.length);
        const sets = placePartitions(partitionCount, replicationFactor, brokers(racks));
        expect(sets.every((set) => new Set(set).size === replicationFactor)).toBe(true);
        expect(spread(counts(sets.flat(), racks.length))).toBeLessThanOrEqual(1);
        const leaders = sets.map(([leader]) => leader ?? 0);
        expect(spread(counts(leaders, racks.length))).toBeLessThanOrEqual(1);
      },
    ),
    { numRuns: 300 },
  );
});

it('puts the replicas of a partition into as many racks as there are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 4 }),
      (racks, partitionCount, wanted) => {
        const replicationFactor = Math.min(wanted, racks.length);
        for (const set of placePartitions(partitionCount, replicationFactor, brokers(racks))) {
          const used = new Set(set.map((brokerId) => racks[brokerId - 1]));
          expect(used.size).toBe(Math.min(replicationFactor, new Set(racks).size));
        }
      },
    ),
  );
});

it('fills up the brokers that have least', () => {
  const uneven = [
    { brokerId: 1, rack: '', replicaCount: 4, leaderCount: 4 },
    { brokerId: 2, rack: '', replicaCount: 0, leaderCount: 0 },
    { brokerId: 3, rack: '', replicaCount: 2, leaderCount: 2 },
  ];
  expect(counts(placePartitions(6, 1, uneven).flat(), 3)).toEqual([0, 4, 2]);
});

it('is the same for the same input', () => {
  const cluster = brokers(['a', 'b', 'a']);
  expect(placePartitions(7, 2, cluster)).toEqual(placePartitions(7, 2, cluster));
});
