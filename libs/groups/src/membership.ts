/** Joining, coming back, changing the subscription, giving partitions up, leaving, being put out. */
import { GROUP_MEMBER_COUNT_MAX, partitionKey, PartitaError } from '@partita/domain';
import type {
  FenceCommand,
  JoinCommand,
  LeaveCommand,
  RefreshCommand,
  RejoinCommand,
  ReleaseCommand,
  SubscribeCommand,
  TopicCatalog,
} from './commands.ts';
import { ASSIGNOR_DEFAULT, checkAssignor } from './assignors/registry.ts';
import { decided, Decision } from './decision.ts';
import type { Decided } from './decision.ts';
import { assignmentOf, memberEpochOf } from './group-state.ts';
import type { Group } from './group-state.ts';
import { commitInto, notAMember } from './offsets.ts';
import { assign, handOver, isUnsettled, raiseEpoch, rebalance } from './reconcile.ts';
import { GROUP_EPOCH_FIRST } from './records.ts';
import type { MemberValue } from './records.ts';

export function join(before: Group | undefined, command: JoinCommand, catalog: TopicCatalog): Decided {
  const repeated = before?.members.get(command.memberId);
  if (repeated !== undefined) return decided([], { memberId: command.memberId });
  checkAssignor(command.assignor);
  const decision = new Decision(command.group, before);
  const { group } = decision;
  const standing = command.instanceId === '' ? undefined : staticMember(group, command.instanceId);
  if (standing !== undefined) return takeOver(decision, standing, command, catalog);
  if (group.members.size >= GROUP_MEMBER_COUNT_MAX) {
    throw new PartitaError(
      'LIMIT_EXCEEDED',
      `group "${command.group}" has ${group.members.size} members; use another group`,
      {
        limit: String(GROUP_MEMBER_COUNT_MAX),
      },
    );
  }
  if (group.value === undefined) {
    // One below the first epoch: the rebalance below raises it.
    const createTimeMs = BigInt(command.wallMs);
    const value = { groupEpoch: GROUP_EPOCH_FIRST - 1, assignor: ASSIGNOR_DEFAULT, createTimeMs, emptySinceMs: 0n };
    decision.emit({ kind: 'group', group: group.id, value });
  }
  const value = { ...memberValue(command), memberEpoch: group.value?.groupEpoch ?? 0 };
  decision.emit({ kind: 'member', group: group.id, memberId: command.memberId, value });
  rebalance(decision, catalog);
  return decided(decision.records, { memberId: command.memberId });
}

/** A new process under the name of a static member: same membership and partitions, at epochs that fence the old one. */
function takeOver(decision: Decision, memberId: string, command: JoinCommand, catalog: TopicCatalog): Decided {
  const { group } = decision;
  const groupEpoch = raiseEpoch(decision);
  const value = { ...memberValue(command), memberEpoch: groupEpoch };
  decision.emit({ kind: 'member', group: group.id, memberId, value });
  for (const held of assignmentOf(group, memberId)) {
    // The old process can release nothing any more: what it was giving up is handed over now.
    if (held.revoking) handOver(decision, held);
    else
      assign(decision, held.partition, { memberId, assignmentEpoch: groupEpoch, revoking: false, targetMemberId: '' });
  }
  if (isUnsettled(group, catalog)) rebalance(decision, catalog);
  return decided(decision.records, { memberId });
}

export function rejoin(before: Group | undefined, command: RejoinCommand, catalog: TopicCatalog): Decided {
  const member = before?.members.get(command.memberId);
  if (before === undefined || member === undefined) throw notAMember(command.group, command.memberId);
  const current = memberEpochOf(before, command.memberId);
  if (command.memberEpoch > current || member.instanceId !== command.instanceId) {
    throw new PartitaError(
      'STALE_GENERATION',
      `member ${command.memberId} is known otherwise; join again as a new member`,
      {
        group: command.group,
        epoch: String(command.memberEpoch),
        current: String(current),
      },
    );
  }
  const { records } = subscribe(before, { ...command, kind: 'subscribe' }, catalog);
  return decided(records, { memberId: command.memberId });
}

export function subscribe(before: Group | undefined, command: SubscribeCommand, catalog: TopicCatalog): Decided {
  const member = before?.members.get(command.memberId);
  if (member === undefined) throw notAMember(command.group, command.memberId);
  const { memberId, topicPattern } = command;
  const topics = sortedNames(command.topics);
  if (topicPattern === member.topicPattern && isSame(topics, member.topics)) return decided([]);
  const decision = new Decision(command.group, before);
  decision.emit({ kind: 'member', group: command.group, memberId, value: { ...member, topics, topicPattern } });
  rebalance(decision, catalog);
  return decided(decision.records);
}

/** Takes back what the member was told to give up. Anything else is left as it is: it may be a repeat. */
export function release(before: Group | undefined, command: ReleaseCommand): Decided {
  const decision = new Decision(command.group, before);
  const { group } = decision;
  const refusals = commitInto(decision, command);
  for (const { topicId, partition, assignmentEpoch } of command.partitions) {
    const held = group.held.get(partitionKey({ topicId, partition }));
    if (held?.memberId !== command.memberId || !held.revoking || held.assignmentEpoch !== assignmentEpoch) continue;
    handOver(decision, held);
  }
  return decided(decision.records, { refusals });
}

export function leave(before: Group | undefined, command: LeaveCommand, catalog: TopicCatalog): Decided {
  if (before?.members.has(command.memberId) !== true) return decided([]);
  const decision = new Decision(command.group, before);
  const refusals = commitInto(decision, command);
  remove(decision, command, catalog);
  return decided(decision.records, { refusals });
}

export function fence(before: Group | undefined, command: FenceCommand, catalog: TopicCatalog): Decided {
  if (before?.members.has(command.memberId) !== true) return decided([]);
  const decision = new Decision(command.group, before);
  remove(decision, command, catalog);
  return decided(decision.records);
}

export function refresh(before: Group | undefined, command: RefreshCommand, catalog: TopicCatalog): Decided {
  if (before?.value === undefined || !isUnsettled(before, catalog)) return decided([]);
  const decision = new Decision(command.group, before);
  rebalance(decision, catalog);
  return decided(decision.records);
}

function remove(decision: Decision, { memberId, wallMs }: LeaveCommand | FenceCommand, catalog: TopicCatalog): void {
  const { group } = decision;
  decision.emit({ kind: 'member', group: group.id, memberId, value: undefined });
  if (group.members.size === 0 && group.value !== undefined) {
    decision.emit({ kind: 'group', group: group.id, value: { ...group.value, emptySinceMs: BigInt(wallMs) } });
  }
  for (const held of assignmentOf(group, memberId)) handOver(decision, held);
  rebalance(decision, catalog);
}

function staticMember(group: Group, instanceId: string): string | undefined {
  for (const [memberId, member] of group.members) if (member.instanceId === instanceId) return memberId;
  return undefined;
}

function memberValue(command: JoinCommand): Omit<MemberValue, 'memberEpoch'> {
  return {
    instanceId: command.instanceId,
    clientId: command.clientId,
    peer: command.peer,
    topics: sortedNames(command.topics),
    topicPattern: command.topicPattern,
    sessionTimeoutMs: command.sessionTimeoutMs,
    rebalanceTimeoutMs: command.rebalanceTimeoutMs,
    rack: command.rack,
    capacity: command.capacity,
    joinTimeMs: BigInt(command.wallMs),
    assignor: command.assignor,
  };
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

function sortedNames(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
