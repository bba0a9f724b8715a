/** After the storm: nothing fails any more, and everything has to come right and be read to its end. */
import { partitionKey } from '@partita/domain';
import { groupPhase, isUnsettled } from '@partita/groups';
import type { Group } from '@partita/groups';
import { reassign } from './faults.ts';
import type { World } from './world.ts';

const SETTLE_MS_MAX = 15_000;
const LOOK_EVERY_MS = 100;

export function endSeed(world: World): void {
  world.isCalm = true;
  world.isLeaderAway = false;
  world.note(() => 'the storm is over');
  for (const node of world.nodes) {
    node.resume();
    node.start();
  }
  for (const member of world.members) {
    member.resume();
    if (member.phase === 'away') member.start();
  }
  world.announceTopics();
  reassign(world, world.random.pick(world.nodes), 1);
  const endMs = world.nowMs + SETTLE_MS_MAX;
  let open: string | undefined = 'nothing was looked at';
  while (world.nowMs < endMs && open !== undefined) {
    world.run(world.nowMs + LOOK_EVERY_MS);
    open = whatIsOpen(world);
  }
  if (open !== undefined) world.violate(`liveness: ${open}`);
  world.oracle.checkReplay();
  world.log.compact(world.log.endOffset, true);
  world.oracle.checkReplay();
}

/** What has not come right yet; undefined when all has. */
function whatIsOpen(world: World): string | undefined {
  if (world.assigned.serving === undefined) return 'the shard is not served';
  if (world.assigned.openCommandCount > 0) return `${world.assigned.openCommandCount} commands wait for an answer`;
  for (const { phase, index } of world.members) {
    if (phase !== 'member' && phase !== 'gone') return `process ${index} is ${phase}`;
  }
  for (const group of world.oracle.truth.values()) {
    if (group.members.size === 0) continue;
    if (groupPhase(group) !== 'STABLE') return `${group.id} is not stable`;
    if (isUnsettled(group, world.topics.catalog)) return `${group.id} has partitions without an owner`;
    const unread = unreadOf(world, group);
    if (unread !== undefined) return unread;
  }
  return undefined;
}

function unreadOf(world: World, group: Group): string | undefined {
  for (const { partition } of group.held.values()) {
    const committed = group.offsets.get(partitionKey(partition))?.nextOffset ?? 0n;
    const end = world.topics.endOf(partition.topicId, partition.partition) ?? 0;
    if (committed < BigInt(end)) return `${partitionKey(partition)} is read to ${committed} of ${end} in ${group.id}`;
  }
  return undefined;
}
