/**
 * Commits. From a member: it must hold the partition, and assignment epoch <= sent epoch <= member epoch, so that neither
 * an earlier holder nor an earlier term of the same one moves an offset, while a commit that crosses a harmless epoch
 * change is taken. From outside: only while the group has no members. An offset never falls (an operator's reset is
 * another command): a member's commit below what is committed says nothing new and is taken as such.
 */
import { COMMIT_METADATA_BYTES_MAX, partitionKey, PartitaError } from '@partita/domain';
import { ASSIGNOR_DEFAULT } from './assignors/registry.ts';
import type { CommitCommand, CommitRefusal, DeleteCommand, OffsetCommit, StartOffsetsCommand } from './commands.ts';
import { decided, Decision } from './decision.ts';
import type { Decided } from './decision.ts';
import { memberEpochOf } from './group-state.ts';
import type { Group } from './group-state.ts';
import type { GroupRecord } from './records.ts';

export function commit(before: Group | undefined, command: CommitCommand): Decided {
  checkCommitter(before, command);
  const commits: GroupRecord[] = [];
  const refusals: CommitRefusal[] = [];
  // Later commits of the same partition see the earlier ones of this command.
  const seen = new Map<string, bigint>();
  for (const entry of command.commits) {
    const key = partitionKey(entry.partition);
    const committed = seen.get(key) ?? before?.offsets.get(key)?.nextOffset;
    const error = refusalOf(before, command, entry, committed);
    if (error !== undefined) refusals.push({ commit: entry, error });
    else if (committed === undefined || entry.nextOffset > committed) {
      seen.set(key, entry.nextOffset);
      commits.push(offsetRecord(command, entry, before?.offsets.get(key)?.resetEpoch ?? 0));
    }
  }
  const isNew = before?.value === undefined && commits.length > 0;
  return decided(isNew ? [groupOf(command), ...commits] : commits, { refusals });
}

function checkCommitter(group: Group | undefined, command: CommitCommand): void {
  if (command.memberId === '') {
    const memberCount = group?.members.size ?? 0;
    if (memberCount === 0) return;
    const message = `group "${command.group}" has ${memberCount} members: only they commit; stop them first`;
    throw new PartitaError('GROUP_NOT_EMPTY', message, { group: command.group, members: String(memberCount) });
  }
  if (group?.members.has(command.memberId) !== true) throw notAMember(command.group, command.memberId);
}

/** The member is not in the group (any more). */
export function notAMember(group: string, memberId: string): PartitaError {
  const message = `group "${group}" has no member ${memberId}: it left or was silent for too long; join again`;
  return new PartitaError('MEMBER_NOT_FOUND', message, { group, member: memberId });
}

export function groupNotFound(group: string): PartitaError {
  return new PartitaError('GROUP_NOT_FOUND', `there is no group "${group}"`, { group });
}

/** Commits that come with a release or a leave, into the same batch. */
export function commitInto(decision: Decision, command: Omit<CommitCommand, 'kind'>): readonly CommitRefusal[] {
  const { records, response } = commit(decision.group, { ...command, kind: 'commit' });
  for (const record of records) decision.emit(record);
  return response.refusals;
}

export function startOffsets(before: Group | undefined, command: StartOffsetsCommand): Decided {
  if (before?.value === undefined) return decided([]);
  const records: GroupRecord[] = [];
  for (const start of command.starts) {
    if (before.offsets.has(partitionKey(start.partition))) continue;
    records.push(offsetRecord(command, { ...start, recordEpoch: 0, metadata: '' }, 0));
  }
  return decided(records);
}

export function deleteGroup(before: Group | undefined, command: DeleteCommand): Decided {
  if (before?.value === undefined) {
    throw groupNotFound(command.group);
  }
  if (before.members.size > 0) {
    const message = `group "${command.group}" has ${before.members.size} members; stop them first`;
    throw new PartitaError('GROUP_NOT_EMPTY', message, { group: command.group, members: String(before.members.size) });
  }
  const decision = new Decision(command.group, before);
  for (const { partition } of before.held.values()) {
    decision.emit({ kind: 'assignment', group: command.group, partition, value: undefined });
  }
  for (const { partition } of before.offsets.values()) {
    decision.emit({ kind: 'offset', group: command.group, partition, value: undefined });
  }
  decision.emit({ kind: 'group', group: command.group, value: undefined });
  return decided(decision.records);
}

/** A group made by its first commit has the epoch below the first: nobody has joined. */
function groupOf(command: CommitCommand): GroupRecord {
  const nowMs = BigInt(command.wallMs);
  const value = { groupEpoch: 1, assignor: ASSIGNOR_DEFAULT, createTimeMs: nowMs, emptySinceMs: nowMs };
  return { kind: 'group', group: command.group, value };
}

function offsetRecord(
  command: { readonly group: string; readonly wallMs: number },
  entry: Pick<OffsetCommit, 'topic' | 'partition' | 'nextOffset' | 'recordEpoch' | 'metadata'>,
  resetEpoch: number,
): GroupRecord {
  const { topic, partition, nextOffset, recordEpoch, metadata } = entry;
  const value = { nextOffset, recordEpoch, metadata, commitTimeMs: BigInt(command.wallMs), topic, resetEpoch };
  return { kind: 'offset', group: command.group, partition, value };
}

function refusalOf(
  group: Group | undefined,
  command: CommitCommand,
  entry: OffsetCommit,
  committed: bigint | undefined,
): PartitaError | undefined {
  const { nextOffset, highWatermark } = entry;
  const place = { topic: entry.topic, partition: String(entry.partition.partition) };
  if (nextOffset < 0n || nextOffset > highWatermark) {
    const message = `offset ${nextOffset} is outside 0..${highWatermark}, the committed end of partition ${place.partition} of "${place.topic}"`;
    return new PartitaError('OFFSET_OUT_OF_RANGE', message, {
      ...place,
      offset: String(nextOffset),
      start: '0',
      end: String(highWatermark),
    });
  }
  if (utf8Bytes(entry.metadata) > COMMIT_METADATA_BYTES_MAX) {
    return new PartitaError(
      'INVALID_REQUEST',
      `the metadata of a commit is at most ${COMMIT_METADATA_BYTES_MAX} bytes`,
      {
        ...place,
        field: 'metadata',
        range: `0..${COMMIT_METADATA_BYTES_MAX}`,
      },
    );
  }
  if (command.memberId !== '') return staleness(group, command, entry, place);
  if (committed === undefined || nextOffset >= committed) return undefined;
  const message = `offset ${committed} is committed and a commit never lowers it; use ResetOffsets`;
  return new PartitaError('OFFSET_OUT_OF_RANGE', message, {
    ...place,
    offset: String(nextOffset),
    start: String(committed),
    end: String(highWatermark),
  });
}

/** The fencing rule. */
function staleness(
  group: Group | undefined,
  command: CommitCommand,
  entry: OffsetCommit,
  place: Readonly<Record<string, string>>,
): PartitaError | undefined {
  const held = group?.held.get(partitionKey(entry.partition));
  const reached = group === undefined ? 0 : memberEpochOf(group, command.memberId);
  const holds = held?.memberId === command.memberId;
  if (holds && held.assignmentEpoch <= entry.epoch && entry.epoch <= reached) return undefined;
  const message = holds
    ? `epoch ${entry.epoch} is outside ${held.assignmentEpoch}..${reached}; send the assignment_epoch of the last assignment`
    : `the member does not hold partition ${place['partition']} of "${place['topic']}" any more; what it processed there will be delivered to its new holder`;
  return new PartitaError('STALE_GENERATION', message, {
    ...place,
    group: command.group,
    epoch: String(entry.epoch),
    current: String(holds ? held.assignmentEpoch : reached),
  });
}

/** Size in UTF-8, an upper bound for lone surrogates. */
function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return bytes;
}
