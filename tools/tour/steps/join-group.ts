import { GroupMembers } from '../group-members.ts';
import { MEMBER_COUNT, PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';

const SETTLE_MS_MAX = 20_000;

/** Starts the members, and waits until the group has given each its share. */
export async function joinGroup(stage: Stage): Promise<GroupMembers> {
  stage.terminal.step(`A group of ${MEMBER_COUNT} members, each a process of its own`);
  const startMs = performance.now();
  const members = new GroupMembers(stage);
  try {
    if (!(await members.until(() => isSettled(members), SETTLE_MS_MAX))) {
      const held = shares(members).map((share) => `${share.member}: ${share.partitions.join(', ')}`);
      throw new Error(`the group ${stage.group} did not settle in ${SETTLE_MS_MAX / 1000} s (${held.join('; ')})`);
    }
  } catch (error) {
    await members.stop();
    throw error;
  }
  stage.terminal.line(`${stage.group}: settled in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  for (const { member, partitions } of shares(members)) {
    stage.terminal.line(`${member} has partitions ${partitions.join(', ')}`);
  }
  return members;
}

function shares(members: GroupMembers): { readonly member: string; readonly partitions: readonly number[] }[] {
  return [...members.assignment()]
    .map(([member, partitions]) => ({ member, partitions }))
    .sort((a, b) => a.member.localeCompare(b.member));
}

/** Every partition is held, by members that have as many as each other, give or take one. */
function isSettled(members: GroupMembers): boolean {
  const partitions = shares(members).map((share) => share.partitions);
  const counts = partitions.map((list) => list.length);
  const held = new Set(partitions.flat()).size;
  return (
    partitions.length === MEMBER_COUNT &&
    held === PARTITION_COUNT &&
    counts.reduce((sum, count) => sum + count, 0) === PARTITION_COUNT &&
    Math.max(...counts) - Math.min(...counts) <= 1
  );
}
