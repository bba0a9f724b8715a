/**
 * Offsets that nobody needs any more. Those of a group with members never expire, but for topics that are gone. Those of a
 * group without members are kept for OFFSET_EXPIRY_MS since it was last used, and never less than the topic keeps its
 * records. Finding them needs clocks and topics and is the caller's timer; dropping them is a command that looks again.
 */
import { OFFSET_EXPIRY_MS, partitionKey } from '@partita/domain';
import type { ExpireCommand, ExpiredOffset, TopicCatalog } from './commands.ts';
import { decided, Decision } from './decision.ts';
import type { Decided } from './decision.ts';
import type { Group, GroupOffset } from './group-state.ts';

/**
 * Offsets that have expired, to be dropped by an ExpireCommand. `retentionMsOf` is a topic's retention, negative =
 * unlimited, undefined = there is no such topic.
 */
export function expiredOffsets(
  group: Group,
  nowMs: number,
  retentionMsOf: (topicId: string) => number | undefined,
): ExpiredOffset[] {
  const expired: ExpiredOffset[] = [];
  for (const offset of group.offsets.values()) {
    const retentionMs = retentionMsOf(offset.partition.topicId);
    const isGone = retentionMs === undefined;
    if (!isGone && (group.members.size > 0 || retentionMs < 0)) continue;
    const idleSinceMs = idleSince(group, offset, isGone);
    const keptMs = Math.max(OFFSET_EXPIRY_MS, retentionMs ?? 0);
    if (nowMs - Number(idleSinceMs) > keptMs) expired.push({ ...offset.partition, idleSinceMs });
  }
  return expired;
}

/** True for a group without members and offsets that nobody has used for OFFSET_EXPIRY_MS: expire it with no offsets. */
export function isAbandoned(group: Group, nowMs: number): boolean {
  if (group.value === undefined || group.members.size + group.offsets.size > 0) return false;
  const { emptySinceMs, createTimeMs } = group.value;
  return nowMs - Number(emptySinceMs === 0n ? createTimeMs : emptySinceMs) > OFFSET_EXPIRY_MS;
}

export function expire(before: Group | undefined, command: ExpireCommand, catalog: TopicCatalog): Decided {
  if (before?.value === undefined) return decided([]);
  const decision = new Decision(command.group, before);
  const { group } = decision;
  for (const { topicId, partition, idleSinceMs } of command.partitions) {
    const offset = group.offsets.get(partitionKey({ topicId, partition }));
    if (offset === undefined) continue;
    const isGone = !catalog.has(topicId);
    if (!isGone && group.members.size > 0) continue;
    // Used since it was found: it has become young again.
    if (idleSinceMs !== undefined && idleSinceMs < idleSince(group, offset, isGone)) continue;
    decision.emit({ kind: 'offset', group: group.id, partition: offset.partition, value: undefined });
  }
  if (group.members.size + group.offsets.size + group.held.size === 0) {
    decision.emit({ kind: 'group', group: group.id, value: undefined });
  }
  return decided(decision.records);
}

/** Time from which the age of an offset counts. */
function idleSince(group: Group, offset: GroupOffset, isGone: boolean): bigint {
  const emptySinceMs = isGone ? 0n : (group.value?.emptySinceMs ?? 0n);
  return offset.commitTimeMs > emptySinceMs ? offset.commitTimeMs : emptySinceMs;
}
