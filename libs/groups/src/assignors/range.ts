/**
 * Neighbouring partitions together: each topic is cut into one range per member that wants it, in the order of member ids,
 * as long as its capacity. Topics with as many partitions that the same members want are cut alike, so that partition 7 of
 * both is with one member and can be joined there. Who held what before is not looked at, and a group that wants many
 * small topics is not balanced as a whole.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { compareText } from '../group-state.ts';
import type { Assignor, Candidate } from './assignor.ts';
import { byTopic } from './bins.ts';

export const assignRange: Assignor = ({ candidates, partitions }) => {
  const sorted = [...candidates].sort((a, b) => compareText(a.memberId, b.memberId));
  const holders = new Map<string, string>();
  for (const [topicId, places] of byTopic(partitions)) {
    const takers = sorted.filter((candidate) => candidate.topicIds.has(topicId));
    if (takers.length > 0) cut(takers, places, holders);
  }
  return holders;
};

function cut(takers: readonly Candidate[], places: readonly TopicPartition[], holders: Map<string, string>): void {
  const whole = takers.reduce((sum, { capacity }) => sum + capacity, 0);
  let share = 0;
  let at = 0;
  for (const { memberId, capacity } of takers) {
    share += capacity;
    // Rounded up, so that what cannot be divided goes to the first.
    const end = Math.ceil((places.length * share) / whole);
    for (; at < end; at++) {
      const place = places[at];
      if (place !== undefined) holders.set(partitionKey(place), memberId);
    }
  }
}
