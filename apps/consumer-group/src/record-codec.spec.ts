import { BatchBuilder, CODEC_NONE, decodeBatch } from '@partita/batch';
import { recordKey } from '@partita/groups';
import type { GroupRecord } from '@partita/groups';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeGroupRecord, encodeGroupRecord } from './record-codec.ts';

const int32 = fc.nat(2 ** 31 - 1);
const ms = fc.bigInt({ min: 0n, max: 2n ** 53n });
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const partition = fc.record({ topicId: fc.uuid(), partition: int32 });

const groupValue = fc.record({ groupEpoch: int32, assignor: text, createTimeMs: ms, emptySinceMs: ms });
const memberValue = fc.record({
  memberEpoch: int32,
  instanceId: text,
  clientId: text,
  peer: text,
  topics: fc.array(text, { maxLength: 5 }),
  topicPattern: text,
  sessionTimeoutMs: int32,
  rebalanceTimeoutMs: int32,
  rack: text,
  capacity: int32,
  joinTimeMs: ms,
  assignor: text,
});
const assignmentValue = fc.record({
  memberId: text,
  assignmentEpoch: int32,
  revoking: fc.boolean(),
  targetMemberId: text,
});
const offsetValue = fc.record({
  nextOffset: ms,
  recordEpoch: int32,
  metadata: text,
  commitTimeMs: ms,
  topic: text,
  resetEpoch: int32,
});

function optional<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined });
}

const record: fc.Arbitrary<GroupRecord> = fc.oneof(
  fc.record({ kind: fc.constant('group' as const), group: text, value: optional(groupValue) }),
  fc.record({ kind: fc.constant('member' as const), group: text, memberId: text, value: optional(memberValue) }),
  fc.record({ kind: fc.constant('assignment' as const), group: text, partition, value: optional(assignmentValue) }),
  fc.record({ kind: fc.constant('offset' as const), group: text, partition, value: optional(offsetValue) }),
);

function decoded(input: Parameters<BatchBuilder['tryAdd']>[0]) {
  const builder = new BatchBuilder();
  builder.tryAdd(input);
  const [first] = decodeBatch(builder.build({ codec: CODEC_NONE })).records;
  return first!;
}

describe('records of __groups', () => {
  it('are what was written, in every form', () => {
    fc.assert(
      fc.property(record, (written) => {
        const read = decodeGroupRecord(decoded(encodeGroupRecord(written, 1n)));
        expect(read).toMatchObject(written.value === undefined ? { ...written, value: undefined } : written);
      }),
    );
  });

  it('have the same key bytes exactly when they have the same key', () => {
    fc.assert(
      fc.property(record, record, (a, b) => {
        const [left, right] = [a, b].map((one) => Buffer.from(encodeGroupRecord(one, 1n).key ?? []).toString('hex'));
        expect(left === right).toBe(recordKey(a) === recordKey(b));
      }),
    );
  });

  it('are refused without a key, and when the value is of another kind', () => {
    const offset: GroupRecord = {
      kind: 'offset',
      group: 'g',
      partition: { topicId: 't', partition: 1 },
      value: { nextOffset: 1n, recordEpoch: 0, metadata: '', commitTimeMs: 1n, topic: 't', resetEpoch: 0 },
    };
    const { value } = encodeGroupRecord(offset, 1n);
    const { key } = encodeGroupRecord({ kind: 'member', group: 'g', memberId: 'm', value: undefined }, 1n);
    expect(() => decodeGroupRecord(decoded({ value, timestampMs: 1n }))).toThrow('it has no key');
    expect(() => decodeGroupRecord(decoded({ key, value, timestampMs: 1n }))).toThrow('does not belong to its key');
  });
});
