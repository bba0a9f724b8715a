/**
 * From a change to its consequences. The group epoch grows, a new target is computed, and each partition goes its way:
 *
 *   free --(target)--> held --(target changed)--> revoking --(released, or its holder fenced)--> held by the target, or free
 *
 * A partition changes hands only by the record that ends the old holding, so there are never two holders; the new holder
 * is told when that record is durable. What is being given up stays so until it is released, even when the target turns
 * back to its holder: the member may have stopped already. It then gets it anew, at a higher assignment epoch.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { assignorNameOf } from './assignors/registry.ts';
import type { TopicCatalog } from './commands.ts';
import type { Decision } from './decision.ts';
import { memberEpochOf } from './group-state.ts';
import type { Group, HeldPartition } from './group-state.ts';
import { GROUP_EPOCH_FIRST } from './records.ts';
import type { AssignmentValue } from './records.ts';
import { targetOf } from './target.ts';
import type { Target } from './target.ts';

/** Raises the group epoch and moves the group towards the target that its members and topics now call for. */
export function rebalance(decision: Decision, catalog: TopicCatalog): void {
  const { group } = decision;
  const target = targetOf(group, catalog);
  // Whoever has to give something up keeps the epoch that it has reached: written before the group's epoch grows.
  for (const memberId of newlyRevoking(group, target)) keepEpoch(decision, memberId);
  const groupEpoch = raiseEpoch(decision);
  for (const held of [...group.held.values()]) {
    const next = target.wanted.get(partitionKey(held.partition));
    if (!catalog.has(held.partition.topicId)) assign(decision, held.partition, undefined);
    else steer(decision, held, next ?? '');
  }
  for (const [key, memberId] of target.wanted) {
    const partition = target.partitions.get(key);
    if (partition === undefined || group.held.has(key)) continue;
    assign(decision, partition, { memberId, assignmentEpoch: groupEpoch, revoking: false, targetMemberId: '' });
  }
}

/** Ends the holding of a partition: it goes to its target at once, or becomes free. */
export function handOver(decision: Decision, held: HeldPartition): void {
  const { group } = decision;
  const next = held.targetMemberId;
  if (next === '' || !group.members.has(next)) return assign(decision, held.partition, undefined);
  let assignmentEpoch = group.value?.groupEpoch ?? GROUP_EPOCH_FIRST;
  // A reset gave it to its holder at this very epoch; two holders never share one.
  if (held.assignmentEpoch >= assignmentEpoch) assignmentEpoch = raiseEpoch(decision);
  assign(decision, held.partition, { memberId: next, assignmentEpoch, revoking: false, targetMemberId: '' });
}

/** True when members, topics and holdings no longer fit together, so that `rebalance` has something to do. */
export function isUnsettled(group: Group, catalog: TopicCatalog): boolean {
  const { wanted } = targetOf(group, catalog);
  for (const key of wanted.keys()) if (!group.held.has(key)) return true;
  for (const [key, held] of group.held) {
    const heading = held.revoking ? held.targetMemberId : held.memberId;
    if (heading !== (wanted.get(key) ?? '') || !catalog.has(held.partition.topicId)) return true;
  }
  return false;
}

/** Sets the group's epoch to the next one, and notes what its members now make of it. */
export function raiseEpoch(decision: Decision): number {
  const { group } = decision;
  const { value } = group;
  if (value === undefined) throw new Error('a group without a group record has no epoch');
  const groupEpoch = value.groupEpoch + 1;
  const emptySinceMs = group.members.size > 0 ? 0n : value.emptySinceMs;
  const next = { ...value, groupEpoch, assignor: assignorNameOf(group), emptySinceMs };
  decision.emit({ kind: 'group', group: group.id, value: next });
  return groupEpoch;
}

export function assign(decision: Decision, partition: TopicPartition, value: AssignmentValue | undefined): void {
  decision.emit({ kind: 'assignment', group: decision.group.id, partition, value });
}

function newlyRevoking(group: Group, target: Target): Set<string> {
  const memberIds = new Set<string>();
  for (const [key, held] of group.held) {
    if (!held.revoking && target.wanted.get(key) !== held.memberId) memberIds.add(held.memberId);
  }
  return memberIds;
}

/** Writes down the epoch that a member has reached, before something would take it away. */
export function keepEpoch(decision: Decision, memberId: string): void {
  const { group } = decision;
  const member = group.members.get(memberId);
  const memberEpoch = memberEpochOf(group, memberId);
  if (member === undefined || member.memberEpoch === memberEpoch) return;
  decision.emit({ kind: 'member', group: group.id, memberId, value: { ...member, memberEpoch } });
}

/** Turns a held partition towards `next` (empty = nobody). */
function steer(decision: Decision, held: HeldPartition, next: string): void {
  if (!held.revoking && held.memberId === next) return;
  if (held.revoking && held.targetMemberId === next) return;
  const { memberId, assignmentEpoch, partition } = held;
  assign(decision, partition, { memberId, assignmentEpoch, revoking: true, targetMemberId: next });
}
