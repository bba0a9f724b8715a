/** Who has which partitions of a group, and whether each has its share. */
import type { GroupMembers } from './group-members.ts';

export interface Share {
  readonly member: string;
  readonly partitions: readonly number[];
}

/** By the members' names. */
export function sharesOf(members: GroupMembers): Share[] {
  return [...members.assignment()]
    .map(([member, partitions]) => ({ member, partitions }))
    .sort((a, b) => a.member.localeCompare(b.member));
}

/** Every partition is held, by so many members that have as many as each other, give or take one. */
export function isSettled(members: GroupMembers, memberCount: number, partitionCount: number): boolean {
  const partitions = sharesOf(members).map((share) => share.partitions);
  const counts = partitions.map((list) => list.length);
  const held = new Set(partitions.flat()).size;
  return (
    partitions.length === memberCount &&
    held === partitionCount &&
    counts.reduce((sum, count) => sum + count, 0) === partitionCount &&
    Math.max(...counts) - Math.min(...counts) <= 1
  );
}
