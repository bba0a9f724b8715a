import type { DirectoryContent } from '@partita/metadata-store';
import { beforeEach, describe, expect, it } from 'vitest';
import { DirectoryCheck } from './directory-check.ts';

const topic = {
  topicId: 't1',
  name: 'orders',
  partitionCount: 1,
  replicationFactor: 1,
  minInSync: 1,
  flush: 'fsync',
  version: 1,
  state: 'active',
  settings: '{}',
} as const;
const entry = {
  configVersion: 1,
  replicas: [{ brokerId: 1, dirUuid: 'd1', replicaId: 'r1' }],
  leader: 1,
  epoch: 3,
  isr: [1],
  isrVersion: 1,
  status: 'online',
  updatedMs: 5,
} as const;
const memory: DirectoryContent = {
  brokers: [],
  topics: [topic],
  partitions: [{ topicId: 't1', partition: 0, entry }],
  tombstones: [{ topicId: 't0', name: 'gone', deletedMs: 1 }],
  groups: [{ shard: 1, value: 'x' }],
  moves: [{ reassignmentId: 'm1', value: '{}' }],
  settings: { version: 2, settings: '{}' },
};

describe('a directory that is read back', () => {
  let check: DirectoryCheck;

  beforeEach(() => {
    check = new DirectoryCheck();
  });

  const found = (stored: DirectoryContent): string[] => {
    check.compare(stored, memory);
    return check.compare(stored, memory);
  };
  const owned = (changed: object): DirectoryContent => ({
    ...memory,
    partitions: [{ topicId: 't1', partition: 0, entry: { ...entry, ...changed } }],
  });

  it('is what was written, whatever time and status it shows, and with tombstones that memory has forgotten', () => {
    expect(found(memory)).toEqual([]);
    expect(found(owned({ status: 'offline', updatedMs: 9 }))).toEqual([]);
    const tombstones = [...memory.tombstones, { topicId: 't9', name: '', deletedMs: 0 }];
    expect(found({ ...memory, tombstones })).toEqual([]);
  });

  it.each([
    ['another epoch', owned({ epoch: 4 }), 'partition t1/0'],
    ['another leader', owned({ leader: 2 }), 'partition t1/0'],
    ['another replica', owned({ replicas: [] }), 'partition t1/0'],
    ['other settings', { ...memory, topics: [{ ...topic, settings: '{"a":1}' }] }, 'topic t1'],
    ['no topic', { ...memory, topics: [] }, 'topic t1'],
    ['one topic more', { ...memory, topics: [topic, { ...topic, topicId: 't2' }] }, 'topic t2'],
    ['no partition', { ...memory, partitions: [] }, 'partition t1/0'],
    ['no tombstone', { ...memory, tombstones: [] }, 'tombstone t0'],
    ['no reassignment', { ...memory, moves: [] }, 'reassignment m1'],
    ['other settings of the cluster', { ...memory, settings: { version: 2, settings: '[]' } }, 'settings'],
    ['another owner of a shard', { ...memory, groups: [{ shard: 1, value: 'y' }] }, 'group shard 1'],
  ])('is told from one with %s', (_what, stored, name) => {
    expect(found(stored)).toEqual([name]);
  });

  it('may differ by what is on its way: only what stays so counts', () => {
    expect(check.compare(owned({ epoch: 2 }), memory)).toEqual([]);
    expect(check.compare(owned({ epoch: 1 }), memory)).toEqual([]);
    expect(check.compare(memory, memory)).toEqual([]);
    expect(check.compare(owned({ epoch: 2 }), memory)).toEqual([]);
    check.forget();
    expect(check.compare(owned({ epoch: 2 }), memory)).toEqual([]);
    expect(check.compare(owned({ epoch: 2 }), memory)).toEqual(['partition t1/0']);
  });
});
