import { GroupMembers } from '../group-members.ts';
import { isSettled, sharesOf } from '../shares.ts';
import { MEMBER_COUNT, PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';

const SETTLE_MS_MAX = 20_000;

/** Starts the members, and waits until the group has given each its share. */
export async function joinGroup(stage: Stage): Promise<GroupMembers> {
  stage.terminal.step(`A group of ${MEMBER_COUNT} members, each a process of its own`);
  const startMs = performance.now();
  const members = new GroupMembers(stage, MEMBER_COUNT);
  try {
    if (!(await members.until(() => isSettled(members, MEMBER_COUNT, PARTITION_COUNT), SETTLE_MS_MAX))) {
      const held = sharesOf(members).map((share) => `${share.member}: ${share.partitions.join(', ')}`);
      throw new Error(`the group ${stage.group} did not settle in ${SETTLE_MS_MAX / 1000} s (${held.join('; ')})`);
    }
  } catch (error) {
    await members.stop();
    throw error;
  }
  stage.terminal.line(`${stage.group}: settled in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  for (const { member, partitions } of sharesOf(members)) {
    stage.terminal.line(`${member} has partitions ${partitions.join(', ')}`);
  }
  return members;
}
