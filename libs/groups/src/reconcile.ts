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
import { assignSticky } from './assignors/sticky.ts';
import type { Candidate } from './assignors/sticky.ts';
import type { TopicCatalog } from './commands.ts';
import type { Decision } from './decision.ts';
import { memberEpochOf } from './group-state.ts';
import type { Group, HeldPartition } from './group-state.ts';
import { GROUP_EPOCH_FIRST } from './records.ts';
import type { AssignmentValue } from './records.ts';

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
  const assignmentEpoch = group.value?.groupEpoch ?? GROUP_EPOCH_FIRST;
  assign(decision, held.partition, { memberId: next, assignmentEpoch, revoking: false, targetMemberId: '' });
}

/** True when members, topics and holdings no longer fit together, so that `rebalance` has something to do. */
export function isUnsettled(group: Group, catalog: TopicCatalog): boolean {
  const target = targetOf(group, catalog);
  for (const key of target.wanted.keys()) if (!group.held.has(key)) return true;
  for (const [key, held] of group.held) {
    if (!held.revoking && !target.wanted.has(key)) return true;
    if (!catalog.has(held.partition.topicId)) return true;
  }
  return false;
}

/** Sets the group's epoch to the next one. */
export function raiseEpoch(decision: Decision): number {
  const { group } = decision;
  const { value } = group;
  if (value === undefined) throw new Error('a group without a group record has no epoch');
  const groupEpoch = value.groupEpoch + 1;
  decision.emit({ kind: 'group', group: group.id, value: { ...value, groupEpoch } });
  return groupEpoch;
}

export function assign(decision: Decision, partition: TopicPartition, value: AssignmentValue | undefined): void {
  decision.emit({ kind: 'assignment', group: decision.group.id, partition, value });
}

interface Target {
  /** Who shall hold each partition, by partitionKey. */
  readonly wanted: ReadonlyMap<string, string>;
  readonly partitions: ReadonlyMap<string, TopicPartition>;
}

function targetOf(group: Group, catalog: TopicCatalog): Target {
  const seen = new Set<string>();
  const partitions = new Map<string, TopicPartition>();
  const candidates: Candidate[] = [];
  for (const [memberId, member] of group.members) {
    const wanted = new Set<string>();
    for (const name of member.topics) {
      const topic = catalog.topic(name);
      if (topic === undefined) continue;
      wanted.add(topic.topicId);
      if (seen.has(topic.topicId)) continue;
      seen.add(topic.topicId);
      for (let partition = 0; partition < topic.partitionCount; partition++) {
        const tp = { topicId: topic.topicId, partition };
        partitions.set(partitionKey(tp), tp);
      }
    }
    candidates.push({ memberId, topicIds: wanted, capacity: member.capacity });
  }
  const current = new Map(
    [...group.held].map(([key, held]) => [key, held.revoking ? held.targetMemberId : held.memberId]),
  );
  const wanted = assignSticky(candidates, sortedPartitions(partitions), current);
  return { wanted, partitions };
}

function sortedPartitions(partitions: ReadonlyMap<string, TopicPartition>): TopicPartition[] {
  return [...partitions.values()].sort((a, b) =>
    a.topicId === b.topicId ? a.partition - b.partition : a.topicId < b.topicId ? -1 : 1,
  );
}

function newlyRevoking(group: Group, target: Target): Set<string> {
  const memberIds = new Set<string>();
  for (const [key, held] of group.held) {
    if (!held.revoking && target.wanted.get(key) !== held.memberId) memberIds.add(held.memberId);
  }
  return memberIds;
}

function keepEpoch(decision: Decision, memberId: string): void {
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
