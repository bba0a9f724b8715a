/**
 * The default assignor: every member keeps what it has, what is free goes to who has least, and then only as many
 * partitions move as balance needs. Racks decide only which of the partitions that move anyway goes where.
 *
 * A move from `a` to `b` is made when it lowers the sum of load²/capacity over all members; so the search ends, and among
 * members of equal capacity that want the same topics no two loads differ by more than one. Members with different topics
 * are balanced along chains: a gives to c, c to b.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { compareText } from '../group-state.ts';
import type { Assignor } from './assignor.ts';
import { binsOf, compareCost, holdersOf, improves, put, takeLast } from './bins.ts';
import type { Bin } from './bins.ts';
import { exchangeForRacks } from './racks.ts';

export const assignSticky: Assignor = (input) => {
  const { candidates, partitions, current } = input;
  const bins = binsOf(candidates);
  const byMember = new Map(bins.map((bin) => [bin.memberId, bin]));
  const takers = takersByTopic(bins);
  const free: TopicPartition[] = [];
  for (const partition of partitions) {
    const holder = byMember.get(current.get(partitionKey(partition)) ?? '');
    if (holder?.topicIds.has(partition.topicId) === true) put(holder, partition);
    else free.push(partition);
  }
  for (const partition of free) {
    const taker = cheapestOf(takers.get(partition.topicId) ?? []);
    if (taker !== undefined) put(taker, partition);
  }
  balance(bins, takers);
  return exchangeForRacks(input, holdersOf(bins), 'all');
};

/** Who wants each topic, members with the same topics together: what reaches one of them reaches all. */
type Takers = ReadonlyMap<string, readonly (readonly Bin[])[]>;

function takersByTopic(bins: readonly Bin[]): Takers {
  // The target gives members that want the same topics the same set; equal sets that are not the same only cost time.
  const alike = new Map<ReadonlySet<string>, Bin[]>();
  for (const bin of bins) {
    const others = alike.get(bin.topicIds);
    if (others === undefined) alike.set(bin.topicIds, [bin]);
    else others.push(bin);
  }
  const takers = new Map<string, Bin[][]>();
  for (const [topicIds, wanting] of alike) {
    for (const topicId of topicIds) {
      const list = takers.get(topicId);
      if (list === undefined) takers.set(topicId, [wanting]);
      else list.push(wanting);
    }
  }
  return takers;
}

function cheapest(bins: readonly Bin[]): Bin | undefined {
  let best: Bin | undefined;
  for (const bin of bins) if (best === undefined || compareCost(bin, best) < 0) best = bin;
  return best;
}

function cheapestOf(groups: readonly (readonly Bin[])[]): Bin | undefined {
  const best = groups.flatMap((bins) => cheapest(bins) ?? []);
  // Members that want the same are in the order of their ids, groups of them are not.
  return cheapest(best.sort((a, b) => compareText(a.memberId, b.memberId)));
}

/** Moves from the fullest that can give, one partition at a time, until no move is worth it. */
function balance(bins: readonly Bin[], takers: Takers): void {
  /** From these nothing is to be gained, nor from what they reach: it has no more to give. */
  let settled = new Set<Bin>();
  for (;;) {
    const from = fullest(bins, settled);
    const to = cheapest(bins);
    if (from === undefined || to === undefined || !improves(from, to)) return;
    // Mostly the emptiest of all can be given something at once, and nobody has to be searched for.
    if (give(from, to) || moveFrom(from, takers, settled)) settled = new Set();
  }
}

function fullest(bins: readonly Bin[], without: ReadonlySet<Bin>): Bin | undefined {
  let best: Bin | undefined;
  for (const bin of bins) {
    if (bin.load === 0 || without.has(bin)) continue;
    if (best === undefined || (2 * bin.load - 1) * best.capacity > (2 * best.load - 1) * bin.capacity) best = bin;
  }
  return best;
}

/**
 * Breadth first from `from` over "holds a partition that the next one wants", to the cheapest bin of the nearest round
 * that is worth it. False when there is none: all that was reached is then settled.
 */
function moveFrom(from: Bin, takers: Takers, settled: Set<Bin>): boolean {
  const givers = new Map<Bin, Bin | undefined>([[from, undefined]]);
  const seen = new Set<readonly Bin[]>();
  const topics = new Set<string>();
  let frontier: Bin[] = [from];
  while (frontier.length > 0) {
    const next: Bin[] = [];
    for (const giver of frontier) {
      for (const topicId of giver.byTopic.keys()) {
        if (topics.has(topicId)) continue;
        topics.add(topicId);
        for (const wanting of takers.get(topicId) ?? []) {
          if (seen.has(wanting)) continue;
          seen.add(wanting);
          for (const taker of wanting) {
            if (givers.has(taker)) continue;
            givers.set(taker, giver);
            next.push(taker);
          }
        }
      }
    }
    const best = cheapest(next);
    if (best !== undefined && improves(from, best)) {
      moveAlong(givers, best);
      return true;
    }
    frontier = next;
  }
  for (const bin of givers.keys()) settled.add(bin);
  return false;
}

function moveAlong(givers: ReadonlyMap<Bin, Bin | undefined>, last: Bin): void {
  let taker = last;
  for (let giver = givers.get(taker); giver !== undefined; giver = givers.get(taker)) {
    if (!give(giver, taker)) throw new Error('a member was taken for one that can give');
    taker = giver;
  }
}

/** Moves one partition; false when `giver` has none that `taker` wants. */
function give(giver: Bin, taker: Bin): boolean {
  const topicId = givableTopic(giver, taker);
  const partition = topicId === undefined ? undefined : takeLast(giver, topicId);
  if (partition === undefined) return false;
  put(taker, partition);
  return true;
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
