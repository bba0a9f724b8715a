import { setTimeout as sleep } from 'node:timers/promises';
import { inTimeOrder, oneMemberAtATime } from '../checks.ts';
import { everySendArrived, onlyMovedWhatMust } from '../group-checks.ts';
import type { Flight } from '../flights.ts';
import { GroupMembers } from '../group-members.ts';
import { nowMs } from '../member-report.ts';
import { pausesOf } from '../pauses.ts';
import type { GroupChange } from '../pauses.ts';
import { isSettled } from '../shares.ts';
import { MOVING_PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';
import { SteadySends } from '../steady-sends.ts';

/** Before, between and behind the changes. */
const CALM_MS = 700;
const SETTLE_MS_MAX = 20_000;
const SILENCE_MS_MAX = 10_000;

/** A group grows from one member to four and shrinks to two while records come in all the time. */
export async function resizeGroup(stage: Stage, flights: readonly Flight[]): Promise<void> {
  const { client, terminal, checks, servers, movingTopic: topic, movingGroup: group } = stage;
  terminal.step('Members come and go under load: 1, then 4, then 2');
  const { partitions } = await client.admin.createTopic({ name: topic, partitionCount: MOVING_PARTITION_COUNT });
  const members = new GroupMembers({ servers, group, topic }, 1);
  try {
    await settle(members, 1);
    members.go();
    const producing = new SteadySends({ producer: client.producer(), topic, partitions, flights });
    await sleep(CALM_MS);
    const changes = [
      await change(members, 4, () => {
        members.add(3);
        members.go();
      }),
      await change(members, 2, () => void members.leave(['member 3', 'member 4'])),
    ];
    await producing.stop();
    const sent = producing.sends.filter(({ outcome }) => typeof outcome === 'object').length;
    await members.until(() => new Set(members.arrivals.map(({ row }) => row)).size >= sent, SILENCE_MS_MAX);
    await members.stop();
    for (const one of changes) tell(stage, members, one);
    checks.push(
      everySendArrived(producing.sends, members.arrivals),
      onlyMovedWhatMust(changes, MOVING_PARTITION_COUNT),
      { ...oneMemberAtATime(members.holds(), members.arrivals), claim: 'and each partition had one member at a time' },
    );
  } finally {
    await members.stop();
  }
}

async function change(members: GroupMembers, memberCount: number, act: () => void): Promise<GroupChange> {
  const before = members.assignment();
  const fromMs = nowMs();
  act();
  await settle(members, memberCount);
  const settledMs = nowMs();
  await sleep(CALM_MS);
  return { before, after: members.assignment(), fromMs, settledMs, toMs: nowMs() };
}

async function settle(members: GroupMembers, memberCount: number): Promise<void> {
  const endMs = nowMs() + SETTLE_MS_MAX;
  const settled = (): boolean => isSettled(members, memberCount, MOVING_PARTITION_COUNT);
  // Records come in all the time, so silence says nothing here.
  await members.until(() => settled() || nowMs() > endMs, SETTLE_MS_MAX);
  if (settled()) return;
  throw new Error(`the group did not settle with ${memberCount} members in ${SETTLE_MS_MAX / 1000} s`);
}

function tell({ terminal }: Stage, members: GroupMembers, one: GroupChange): void {
  const { moved, others } = pausesOf(one, inTimeOrder(members.arrivals));
  const text = (pauses: readonly number[]): string => {
    const sorted = pauses.toSorted((a, b) => a - b);
    const [median = 0, longest = 0] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
    return `${Math.round(median)} ms median, ${Math.round(longest)} ms at most`;
  };
  terminal.line(
    `${one.before.size} to ${one.after.size} members: settled in ${((one.settledMs - one.fromMs) / 1000).toFixed(2)} s, ` +
      `${moved.length} of ${MOVING_PARTITION_COUNT} partitions moved`,
  );
  terminal.line(`longest time without a record, partitions that moved: ${text(moved)}`);
  if (others.length > 0) terminal.line(`the others: ${text(others)}`);
}
