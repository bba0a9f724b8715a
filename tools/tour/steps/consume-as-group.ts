import { inTimeOrder } from '../checks.ts';
import { MEMBER_BUFFER_RECORD_COUNT } from '../group-members.ts';
import type { GroupMembers } from '../group-members.ts';
import { nowMs } from '../member-report.ts';
import { MEMBER_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';
import { rate } from '../terminal.ts';

/** After this long without a record the rest counts as lost. */
const SILENCE_MS_MAX = 10_000;
/** A record that comes twice comes within this time. */
const LATE_MS = 300;

/** Lets the members read until `recordCount` records arrived, and leave. What arrived stays in `members`. */
export async function consumeAsGroup(
  { terminal }: Stage,
  members: GroupMembers,
  recordCount: number,
  leaders: ReadonlyMap<number, number>,
): Promise<void> {
  terminal.step(`Read by the ${MEMBER_COUNT} members`);
  const startMs = nowMs();
  members.go();
  await members.until(() => members.arrivals.length >= recordCount, SILENCE_MS_MAX);
  await members.until(() => false, LATE_MS);
  await members.stop();
  const arrivals = inTimeOrder(members.arrivals);
  // What was sent ahead while the members waited took no time and does not count.
  const measured = arrivals.slice(MEMBER_COUNT * MEMBER_BUFFER_RECORD_COUNT);
  const bytes = measured.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  terminal.line(`consumed: ${rate(measured.length, bytes, (measured.at(-1)?.atMs ?? startMs) - startMs)}`);
  const rows = [...leaders].map(([partition, leader]) => {
    const received = arrivals.filter((arrival) => arrival.partition === partition);
    const readers = new Set(received.map((arrival) => arrival.member));
    const airports = new Set(received.map((arrival) => arrival.key));
    return [`partition ${partition}`, `broker ${leader}`, [...readers].join(' then '), received.length, airports.size];
  });
  terminal.table(['', 'led by', 'read by', 'records', 'airports'], rows);
}
