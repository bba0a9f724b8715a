/**
 * Records of `__groups`: the key is a serialised partita.peer.v1.GroupKey, the value a serialised GroupValue, and an
 * absent value deletes the key. Keys are encoded with fields in order and zeros left out, as every protobuf library
 * does, so that the same key always has the same bytes and compaction finds it.
 */
import { PartitaError } from '@partita/domain';
import type { GroupRecord, MemberValue } from '@partita/groups';
import { GroupKey, GroupValue } from '@partita/protocol';
import type { DecodedRecord, RecordInput } from '@partita/batch';

/** The record as it is appended. */
export function encodeGroupRecord(record: GroupRecord, timestampMs: bigint): RecordInput {
  const key = GroupKey.encode({ group: record.group, kind: keyKind(record) }).finish();
  const kind = valueKind(record);
  if (kind === undefined) return { key, timestampMs };
  return { key, value: GroupValue.encode({ kind }).finish(), timestampMs };
}

/** What a record of the log says. Throws CORRUPT_BATCH for what no version of this service has written. */
export function decodeGroupRecord(record: DecodedRecord): GroupRecord {
  if (record.key === undefined) throw corrupt(record.offset, 'it has no key');
  const { group, kind } = GroupKey.decode(record.key);
  const value = record.value === undefined ? undefined : GroupValue.decode(record.value).kind;
  switch (kind?.$case) {
    case 'groupState':
      if (value === undefined) return { kind: 'group', group, value };
      if (value.$case === 'groupState') return { kind: 'group', group, value: value.groupState };
      break;
    case 'memberId':
      if (value === undefined) return { kind: 'member', group, memberId: kind.memberId, value };
      if (value.$case === 'member')
        return { kind: 'member', group, memberId: kind.memberId, value: memberOf(value.member) };
      break;
    case 'assignment':
      if (value === undefined) return { kind: 'assignment', group, partition: kind.assignment, value };
      if (value.$case === 'assignment')
        return { kind: 'assignment', group, partition: kind.assignment, value: value.assignment };
      break;
    case 'offset':
      if (value === undefined) return { kind: 'offset', group, partition: kind.offset, value };
      if (value.$case === 'offset') return { kind: 'offset', group, partition: kind.offset, value: value.offset };
      break;
    case undefined:
  }
  throw corrupt(record.offset, 'its value does not belong to its key');
}

function keyKind(record: GroupRecord): NonNullable<GroupKey['kind']> {
  switch (record.kind) {
    case 'group':
      return { $case: 'groupState', groupState: true };
    case 'member':
      return { $case: 'memberId', memberId: record.memberId };
    case 'assignment':
      return { $case: 'assignment', assignment: { ...record.partition } };
    case 'offset':
      return { $case: 'offset', offset: { ...record.partition } };
  }
}

function valueKind(record: GroupRecord): GroupValue['kind'] {
  if (record.value === undefined) return undefined;
  switch (record.kind) {
    case 'group':
      return { $case: 'groupState', groupState: record.value };
    case 'member':
      return { $case: 'member', member: memberMessage(record.value) };
    case 'assignment':
      return { $case: 'assignment', assignment: record.value };
    case 'offset':
      return { $case: 'offset', offset: { ...record.value, resolvedFrom: undefined } };
  }
}

type GroupMemberMessage = Extract<NonNullable<GroupValue['kind']>, { $case: 'member' }>['member'];

function memberMessage(member: MemberValue): GroupMemberMessage {
  const { topics, topicPattern, sessionTimeoutMs, rebalanceTimeoutMs, ...rest } = member;
  return {
    ...rest,
    subscription: { topics: [...topics], topicPattern },
    sessionTimeoutMs: BigInt(sessionTimeoutMs),
    rebalanceTimeoutMs: BigInt(rebalanceTimeoutMs),
  };
}

function memberOf(message: GroupMemberMessage): MemberValue {
  const { subscription, sessionTimeoutMs, rebalanceTimeoutMs, ...rest } = message;
  return {
    ...rest,
    topics: subscription?.topics ?? [],
    topicPattern: subscription?.topicPattern ?? '',
    sessionTimeoutMs: Number(sessionTimeoutMs),
    rebalanceTimeoutMs: Number(rebalanceTimeoutMs),
  };
}

function corrupt(offset: bigint, why: string): PartitaError {
  return new PartitaError('CORRUPT_BATCH', `the record at offset ${offset} of "__groups" cannot be read: ${why}`, {
    topic: '__groups',
    offset: String(offset),
  });
}
