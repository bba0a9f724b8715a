/**
 * The default assignor: every member keeps what it has, what is free goes to who has least, and then only as many
 * partitions move as balance needs. Deterministic: the same input gives the same output wherever it is computed.
 *
 * Load is measured against capacity. A move from `a` to `b` is made when it lowers the sum of load²/capacity over all
 * members, exactly, in integers; so the search ends, and among members of equal capacity that want the same topics no
 * two loads differ by more than one. Members with different topics are balanced along chains: a gives to c, c to b.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { compareText } from '../group-state.ts';
import type { Assignor, Candidate } from './assignor.ts';

interface Bin extends Candidate {
  load: number;
  /** Partitions by topic. */
  readonly byTopic: Map<string, TopicPartition[]>;
}

export const assignSticky: Assignor = ({ candidates, partitions, current }) => {
  const bins: Bin[] = [...candidates]
    .sort((a, b) => compareText(a.memberId, b.memberId))
    .map((candidate) => ({ ...candidate, load: 0, byTopic: new Map() }));
  const byMember = new Map(bins.map((bin) => [bin.memberId, bin]));
  const free: TopicPartition[] = [];
  for (const partition of partitions) {
    const holder = byMember.get(current.get(partitionKey(partition)) ?? '');
    if (holder?.topicIds.has(partition.topicId) === true) put(holder, partition);
    else free.push(partition);
  }
  for (const partition of free) {
    const taker = leastLoaded(bins, partition.topicId);
    if (taker !== undefined) put(taker, partition);
  }
  while (balanceOnce(bins));
  return assignmentOf(bins);
};

function put(bin: Bin, partition: TopicPartition): void {
  const list = bin.byTopic.get(partition.topicId);
  if (list === undefined) bin.byTopic.set(partition.topicId, [partition]);
  else list.push(partition);
  bin.load += 1;
}

/** True when one partition less for `a` and one more for `b` lowers the sum of load²/capacity. */
function improves(a: Bin, b: Bin): boolean {
  return (2 * b.load + 1) * a.capacity < (2 * a.load - 1) * b.capacity;
}

function leastLoaded(bins: readonly Bin[], topicId: string): Bin | undefined {
  let best: Bin | undefined;
  for (const bin of bins) {
    if (!bin.topicIds.has(topicId)) continue;
    if (best === undefined || (2 * bin.load + 1) * best.capacity < (2 * best.load + 1) * bin.capacity) best = bin;
  }
  return best;
}

/** Makes the one best move, along a chain where needed; false when there is none. */
function balanceOnce(bins: readonly Bin[]): boolean {
  const fullestFirst = [...bins].sort(
    (a, b) => b.load * a.capacity - a.load * b.capacity || compareText(a.memberId, b.memberId),
  );
  return fullestFirst.some((from) => from.load > 0 && moveFrom(bins, from));
}

/** Breadth first from `from` over "holds a partition that the next one wants", to the emptiest bin worth it. */
function moveFrom(bins: readonly Bin[], from: Bin): boolean {
  const reached = new Map<Bin, { readonly giver: Bin; readonly topicId: string } | undefined>([[from, undefined]]);
  let frontier: Bin[] = [from];
  while (frontier.length > 0) {
    const next: Bin[] = [];
    let best: Bin | undefined;
    for (const giver of frontier) {
      for (const taker of bins) {
        if (reached.has(taker)) continue;
        const topicId = givableTopic(giver, taker);
        if (topicId === undefined) continue;
        reached.set(taker, { giver, topicId });
        next.push(taker);
        if (improves(from, taker) && (best === undefined || improvesMore(taker, best))) best = taker;
      }
    }
    if (best !== undefined) {
      moveAlong(reached, best);
      return true;
    }
    frontier = next;
  }
  return false;
}

function improvesMore(a: Bin, b: Bin): boolean {
  return (2 * a.load + 1) * b.capacity < (2 * b.load + 1) * a.capacity;
}

/** The topic of which `giver` has most partitions among those that `taker` wants. */
function givableTopic(giver: Bin, taker: Bin): string | undefined {
  let best: string | undefined;
  let most = 0;
  for (const [topicId, held] of giver.byTopic) {
    if (held.length > most && taker.topicIds.has(topicId)) {
      best = topicId;
      most = held.length;
    }
  }
  return best;
}

function moveAlong(
  reached: ReadonlyMap<Bin, { readonly giver: Bin; readonly topicId: string } | undefined>,
  last: Bin,
): void {
  let taker = last;
  for (let edge = reached.get(taker); edge !== undefined; edge = reached.get(taker)) {
    const partition = edge.giver.byTopic.get(edge.topicId)?.pop();
    if (partition === undefined) return;
    edge.giver.load -= 1;
    put(taker, partition);
    taker = edge.giver;
  }
}

function assignmentOf(bins: readonly Bin[]): Map<string, string> {
  const assignment = new Map<string, string>();
  for (const bin of bins) {
    for (const held of bin.byTopic.values())
      for (const partition of held) assignment.set(partitionKey(partition), bin.memberId);
  }
  return assignment;
}
