/**
 * Members as bins that partitions are put into. Load is measured against capacity, and compared exactly, in integers: a
 * partition more for a bin costs (2·load + 1)/capacity in the sum of load²/capacity, one less saves (2·load - 1)/capacity.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { compareText } from '../group-state.ts';
import type { Candidate } from './assignor.ts';

export interface Bin extends Candidate {
  load: number;
  /** Partitions by topic. Invariant: `load` is their number. */
  readonly byTopic: Map<string, TopicPartition[]>;
}

/** Empty bins in the order of member ids. */
export function binsOf(candidates: readonly Candidate[]): Bin[] {
  return [...candidates]
    .sort((a, b) => compareText(a.memberId, b.memberId))
    .map((candidate) => ({ ...candidate, load: 0, byTopic: new Map<string, TopicPartition[]>() }));
}

export function put(bin: Bin, partition: TopicPartition): void {
  const list = bin.byTopic.get(partition.topicId);
  if (list === undefined) bin.byTopic.set(partition.topicId, [partition]);
  else list.push(partition);
  bin.load += 1;
}

/** Takes the last partition of a topic out. */
export function takeLast(bin: Bin, topicId: string): TopicPartition | undefined {
  const list = bin.byTopic.get(topicId);
  const partition = list?.pop();
  if (partition === undefined) return undefined;
  bin.load -= 1;
  if (list?.length === 0) bin.byTopic.delete(topicId);
  return partition;
}

/** Below 0 when one more costs less in `a`. */
export function compareCost(a: Bin, b: Bin): number {
  return (2 * a.load + 1) * b.capacity - (2 * b.load + 1) * a.capacity;
}

/** True when one partition less for `a` and one more for `b` lowers the sum of load²/capacity. */
export function improves(a: Bin, b: Bin): boolean {
  return (2 * b.load + 1) * a.capacity < (2 * a.load - 1) * b.capacity;
}

export function holdersOf(bins: readonly Bin[]): Map<string, string> {
  const holders = new Map<string, string>();
  for (const bin of bins) {
    for (const held of bin.byTopic.values())
      for (const partition of held) holders.set(partitionKey(partition), bin.memberId);
  }
  return holders;
}

/** Partitions by topic, in their order. */
export function byTopic(partitions: readonly TopicPartition[]): Map<string, TopicPartition[]> {
  const topics = new Map<string, TopicPartition[]>();
  for (const partition of partitions) {
    const list = topics.get(partition.topicId);
    if (list === undefined) topics.set(partition.topicId, [partition]);
    else list.push(partition);
  }
  return topics;
}
