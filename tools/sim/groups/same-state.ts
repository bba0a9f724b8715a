/** Comparing states of a shard. Records are not encoded in this world, so values that came from one record are one object. */
import type { Group, HeldPartition, ShardState } from '@partita/groups';

/** Undefined when they say the same, else where they do not. */
export function stateDifference(a: ShardState, b: ShardState): string | undefined {
  if (a.size !== b.size) return `groups ${[...a.keys()].join()} and ${[...b.keys()].join()}`;
  for (const [id, group] of a) {
    const other = b.get(id);
    const where = other === undefined ? 'missing' : groupDifference(group, other);
    if (where !== undefined) return `group ${id}: ${where}`;
  }
  return undefined;
}

function groupDifference(a: Group, b: Group): string | undefined {
  if (a.value !== b.value) return `epoch ${a.value?.groupEpoch ?? 0} and ${b.value?.groupEpoch ?? 0}`;
  const counts = ({ members, held, offsets }: Group): string => `${members.size}/${held.size}/${offsets.size}`;
  if (counts(a) !== counts(b)) return `counts ${counts(a)} and ${counts(b)}`;
  for (const [memberId, member] of a.members) if (b.members.get(memberId) !== member) return `member ${memberId}`;
  for (const [key, held] of a.held) if (!isSameHolding(held, b, key)) return `holder of ${key}`;
  for (const [key, offset] of a.offsets) {
    const other = b.offsets.get(key);
    if (other?.nextOffset !== offset.nextOffset || other.resetEpoch !== offset.resetEpoch) return `offset of ${key}`;
  }
  return undefined;
}

function isSameHolding(held: HeldPartition, group: Group, key: string): boolean {
  const other = group.held.get(key);
  return (
    other?.memberId === held.memberId &&
    other.assignmentEpoch === held.assignmentEpoch &&
    other.revoking === held.revoking &&
    other.targetMemberId === held.targetMemberId &&
    group.heldBy.get(held.memberId)?.has(key) === true
  );
}
