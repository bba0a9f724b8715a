import { keyHash } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { TopicRoute } from '@partita/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PartitionChooser, partitionOfHash } from './partition-chooser.ts';
import { routeOf } from '../testing/route.ts';

describe('partitionOfHash', () => {
  it('finds the one partition whose range holds the hash, for any number of partitions', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (count, hash) => {
        const route = routeOf('t', count);
        const found = route.partitions[partitionOfHash(route, hash)];
        expect(found !== undefined && found.hashMin <= hash && hash <= found.hashMax).toBe(true);
      }),
    );
  });
});

describe('the ends of a key range', () => {
  it('belong to its partition, both of them', () => {
    for (const count of [1, 2, 3, 6, 7, 64]) {
      const route = routeOf('t', count);
      for (const { partition, hashMin, hashMax } of route.partitions) {
        expect([partitionOfHash(route, hashMin), partitionOfHash(route, hashMax)]).toEqual([partition, partition]);
      }
    }
  });
});

describe('PartitionChooser', () => {
  const chooserOf = (values: number[]): PartitionChooser => new PartitionChooser(() => values.shift() ?? 0);

  it('sends a key always to the partition of its hash', () => {
    const route = routeOf('t', 6);
    const hash = keyHash(new TextEncoder().encode('SFO'));
    const chooser = new PartitionChooser(Math.random);
    expect(chooser.choose(route, hash)).toBe(partitionOfHash(route, hash));
  });

  it('treats an empty key as a key', () => {
    const route = routeOf('t', 6);
    const empty = keyHash(new Uint8Array(0));
    expect(chooserOf([0.99]).choose(route, empty)).toBe(partitionOfHash(route, empty));
  });

  it('keeps records without a key on one partition until a batch of it has left', () => {
    const route = routeOf('t', 4);
    const chooser = chooserOf([0.3, 0.8]);
    expect([chooser.choose(route, undefined), chooser.choose(route, undefined)]).toEqual([1, 1]);
    chooser.batchSent(route.topicId, 2);
    expect(chooser.choose(route, undefined)).toBe(1);
    chooser.batchSent(route.topicId, 1);
    expect(chooser.choose(route, undefined)).toBe(3);
  });

  it('prefers partitions that have a leader for records without a key', () => {
    const route: TopicRoute = routeOf('t', 3);
    for (const partition of route.partitions) if (partition.partition !== 2) partition.leaderId = 0;
    expect(chooserOf([0]).choose(route, undefined)).toBe(2);
  });

  it('refuses a partition that the topic does not have, with its range', () => {
    const refuse = (): number => chooserOf([]).named(routeOf('t', 3), 3);
    expect(refuse).toThrow(PartitaError);
    expect(refuse).toThrow('topic "t" has partitions 0 to 2, not 3');
  });
});
