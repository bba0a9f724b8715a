/**
 * Reading near. Of the partitions that get another holder, or their first, two are exchanged when that lets more of them be
 * read in the rack of their holder. Nobody gets more or less by it, and nothing moves that would have stayed: balance and
 * stickiness come first.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { AssignorInput, Candidate } from './assignor.ts';

interface Placed {
  readonly key: string;
  readonly partition: TopicPartition;
  readonly racks: readonly string[];
  holder: Candidate;
}

/** Rounds over all that moves. Each raises the number of near holders, and few rounds find nearly all. */
const ROUND_COUNT_MAX = 4;

/** Changes `assignment`, and gives it back. `within` a topic: each member keeps its number of partitions of every topic. */
export function exchangeForRacks(
  input: AssignorInput,
  assignment: Map<string, string>,
  within: 'all' | 'topic',
): Map<string, string> {
  const { candidates, partitions, current, racksOf } = input;
  if (!candidates.some(({ rack }) => rack !== '')) return assignment;
  const members = new Map(candidates.map((candidate) => [candidate.memberId, candidate]));
  const moving: Placed[] = [];
  for (const partition of partitions) {
    const key = partitionKey(partition);
    const holder = members.get(assignment.get(key) ?? '');
    if (holder === undefined || current.get(key) === holder.memberId) continue;
    moving.push({ key, partition, racks: racksOf(partition), holder });
  }
  for (let round = 0; round < ROUND_COUNT_MAX && exchangeOnce(moving, within); round++);
  for (const { key, holder } of moving) assignment.set(key, holder.memberId);
  return assignment;
}

/** True when something was exchanged. */
function exchangeOnce(moving: readonly Placed[], within: 'all' | 'topic'): boolean {
  let changed = false;
  for (const far of moving) {
    if (far.racks.length === 0 || isNear(far, far.holder)) continue;
    const other = moving.find(
      (candidate) =>
        (within === 'all' || candidate.partition.topicId === far.partition.topicId) && isWorthIt(far, candidate),
    );
    if (other === undefined) continue;
    [far.holder, other.holder] = [other.holder, far.holder];
    changed = true;
  }
  return changed;
}

/** `far` is read in the rack of the other's holder, and the other is not read farther than before. */
function isWorthIt(far: Placed, other: Placed): boolean {
  if (!isNear(far, other.holder)) return false;
  if (isNear(other, other.holder) && !isNear(other, far.holder)) return false;
  return other.holder.topicIds.has(far.partition.topicId) && far.holder.topicIds.has(other.partition.topicId);
}

function isNear(placed: Placed, { rack }: Candidate): boolean {
  return rack !== '' && placed.racks.includes(rack);
}
