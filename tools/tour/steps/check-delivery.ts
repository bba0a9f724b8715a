import type { SentRecord } from '@partita/client';
import {
  airportsCompleteAndInOrder,
  check,
  everyRowArrived,
  noRowArrivedTwice,
  nothingChanged,
  oneMemberAtATime,
  onePartitionPerAirport,
} from '../checks.ts';
import type { Check } from '../checks.ts';
import type { Flight } from '../flights.ts';
import type { GroupMembers } from '../group-members.ts';
import type { Stage } from '../stage.ts';

/** Holds what the members received against the file, and against what the acknowledgements and commits say. */
export async function checkDelivery(
  { checks, client, group, topic }: Stage,
  flights: readonly Flight[],
  sent: readonly SentRecord[],
  members: GroupMembers,
): Promise<void> {
  const { arrivals } = members;
  const moved = arrivals.filter(({ row, partition, offset }) => {
    const ack = sent[row];
    return ack?.partition !== partition || ack.offset !== BigInt(offset);
  });
  checks.push(
    everyRowArrived(flights, arrivals),
    noRowArrivedTwice(arrivals),
    nothingChanged(flights, arrivals),
    check('every record lies where its acknowledgement says', moved.length === 0, {
      yes: `${arrivals.length} positions`,
      no: `${moved.length} differ, the first is row ${moved[0]?.row ?? 0}`,
    }),
    onePartitionPerAirport(arrivals),
    airportsCompleteAndInOrder(flights, arrivals),
    oneMemberAtATime(members.holds(), arrivals),
  );
  const committed = await client.admin.committedOffsets(group, [topic]);
  checks.push(committedAsSent(sent, committed));
}

/** The commit of each partition is the offset behind the last record that was acknowledged there. */
function committedAsSent(
  sent: readonly SentRecord[],
  committed: readonly { readonly partition: number; readonly nextOffset: bigint }[],
): Check {
  const ends = new Map<number, bigint>();
  for (const { partition, offset } of sent) {
    if (offset >= (ends.get(partition) ?? 0n)) ends.set(partition, offset + 1n);
  }
  const behind = [...ends].filter(
    ([partition, end]) => committed.find((commit) => commit.partition === partition)?.nextOffset !== end,
  );
  const [partition, end] = behind[0] ?? [];
  return check('the group has committed all that it read, and nothing beyond', behind.length === 0, {
    yes: `${ends.size} partitions`,
    no: `partition ${partition ?? 0} is not committed up to ${end ?? 0n}`,
  });
}
