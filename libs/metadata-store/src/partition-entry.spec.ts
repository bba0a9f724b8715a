import { PartitaError } from '@partita/domain';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BROKER_STATES, decodeBrokerEntry, encodeBrokerEntry } from './broker-entry.ts';
import {
  comparePartitionVersions,
  decodePartitionEntry,
  encodePartitionEntry,
  PARTITION_STATUSES,
} from './partition-entry.ts';
import { decodeTopicEntry, encodeTopicEntry, FLUSH_MODES, TOPIC_STATES } from './topic-entry.ts';

const count = fc.nat({ max: 2 ** 30 });
const time = fc.nat({ max: 999_999_999_999_999 });
const id = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const replica = fc.record({ brokerId: id, dirUuid: fc.string(), replicaId: fc.string() });
const partition = fc.record({
  configVersion: count,
  replicas: fc.array(replica, { maxLength: 5 }),
  leader: count,
  epoch: count,
  isr: fc.array(id, { maxLength: 5 }),
  isrVersion: count,
  status: fc.constantFrom(...PARTITION_STATUSES),
  updatedMs: time,
  config: fc.option(
    fc.record({
      learners: fc.array(replica, { maxLength: 2 }),
      minInSync: id,
      flush: fc.constantFrom(...FLUSH_MODES),
    }),
    { nil: undefined },
  ),
});
const broker = fc.record({
  brokerId: id,
  address: fc.string(),
  peerAddress: fc.string(),
  dirUuid: fc.string(),
  incarnation: fc.string(),
  rack: fc.string(),
  state: fc.constantFrom(...BROKER_STATES),
  sinceMs: time,
});
const topic = fc.record({
  topicId: fc.uuid(),
  name: fc.string(),
  partitionCount: id,
  replicationFactor: id,
  minInSync: id,
  flush: fc.constantFrom(...FLUSH_MODES),
  version: count,
  state: fc.constantFrom(...TOPIC_STATES),
  settings: fc.json(),
});

describe('what the directory stores', () => {
  it('reads back every partition, broker and topic it wrote', () => {
    fc.assert(
      fc.property(partition, broker, topic, (p, b, t) => {
        expect(decodePartitionEntry('p', encodePartitionEntry(p).text)).toEqual(p);
        expect(decodeBrokerEntry('b', String(b.brokerId), encodeBrokerEntry(b))).toEqual(b);
        const fields = encodeTopicEntry(t);
        const hash = Object.fromEntries(
          fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1] ?? '']] : [])),
        );
        expect(decodeTopicEntry('t', t.topicId, hash)).toEqual(t);
      }),
    );
  });

  it('ends in a typed error for any other text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (stored) => {
        for (const decode of [
          () => decodePartitionEntry('p', stored),
          () => decodeBrokerEntry('b', '1', stored),
          () => decodeTopicEntry('t', 'id', { name: stored }),
        ]) {
          expect(decode).toThrow(PartitaError);
        }
      }),
    );
  });

  it('keeps the bytes of the ownership apart from status and time', () => {
    fc.assert(
      fc.property(partition, (entry) => {
        const { text, ownershipBytes } = encodePartitionEntry(entry);
        const other = encodePartitionEntry({ ...entry, status: 'lossy', updatedMs: 0 });
        expect(other.ownershipBytes).toBe(ownershipBytes);
        expect(Buffer.from(other.text).subarray(0, ownershipBytes)).toEqual(
          Buffer.from(text).subarray(0, ownershipBytes),
        );
        expect(Buffer.from(text).subarray(ownershipBytes).toString()).toMatch(/^,"status":/);
      }),
    );
  });

  it('orders versions by epoch, then configuration, then in-sync set', () => {
    fc.assert(
      fc.property(partition, partition, (a, b) => {
        const order = comparePartitionVersions(a, b);
        expect(Math.sign(comparePartitionVersions(b, a))).toBe(-Math.sign(order) || 0);
        if (a.epoch !== b.epoch) expect(order > 0).toBe(a.epoch > b.epoch);
      }),
    );
  });
});
