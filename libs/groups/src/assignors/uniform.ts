/**
 * Evenness first: every topic is dealt out evenly over the members that want it, by capacity, one partition after the
 * other; where members are equal in a topic, who has least in all comes first, then who held some of it already. With
 * equal subscriptions the whole is even too. `sticky` evens out the whole alone and moves less; here a topic that is
 * busier than the others burdens no member more than the next.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { compareText } from '../group-state.ts';
import type { Assignor } from './assignor.ts';
import { binsOf, byTopic, compareCost, holdersOf, put } from './bins.ts';
import type { Bin } from './bins.ts';
import { exchangeForRacks } from './racks.ts';

/** A member's part of the topic that is being dealt out. */
interface Part {
  readonly bin: Bin;
  /** Partitions of the topic that it holds now. */
  held: TopicPartition[];
  quota: number;
}

export const assignUniform: Assignor = (input) => {
  const bins = binsOf(input.candidates);
  const parts = new Map(bins.map((bin): [string, Part] => [bin.memberId, { bin, held: [], quota: 0 }]));
  const alike = partsAlike(parts.values());
  for (const [topicId, places] of byTopic(input.partitions)) {
    const takers = takersOf(topicId, alike);
    if (takers.length === 0) continue;
    for (const place of places) {
      const part = parts.get(input.current.get(partitionKey(place)) ?? '');
      if (part?.bin.topicIds.has(topicId) === true) part.held.push(place);
    }
    deal(takers, places);
  }
  return exchangeForRacks(input, holdersOf(bins), 'topic');
};

/** Parts of members with the same topics together: mostly that is all of them, one list for every topic. */
function partsAlike(parts: Iterable<Part>): ReadonlyMap<ReadonlySet<string>, Part[]> {
  const alike = new Map<ReadonlySet<string>, Part[]>();
  for (const part of parts) {
    const others = alike.get(part.bin.topicIds);
    if (others === undefined) alike.set(part.bin.topicIds, [part]);
    else others.push(part);
  }
  return alike;
}

/** Parts of the members that want the topic, in the order of member ids. */
function takersOf(topicId: string, alike: ReadonlyMap<ReadonlySet<string>, Part[]>): readonly Part[] {
  const lists = [...alike].filter(([topicIds]) => topicIds.has(topicId)).map(([, parts]) => parts);
  const [first = []] = lists;
  return lists.length < 2 ? first : lists.flat().sort((a, b) => compareText(a.bin.memberId, b.bin.memberId));
}

/** Says how many each gets, lets it keep so many of its own, and fills up with the others. */
function deal(takers: readonly Part[], places: readonly TopicPartition[]): void {
  for (let count = 0; count < places.length; count++) {
    const part = nextPart(takers);
    part.quota += 1;
    part.bin.load += 1;
  }
  const kept = new Set<TopicPartition>();
  const missing: Part[] = [];
  for (const part of takers) {
    const { bin, held, quota } = part;
    // Counted while dealing; each is counted again as it is put.
    bin.load -= quota;
    for (let at = 0; at < Math.min(quota, held.length); at++) {
      const place = held[at];
      if (place === undefined) break;
      kept.add(place);
      put(bin, place);
    }
    if (quota > held.length) missing.push(part);
  }
  const free = places.filter((place) => !kept.has(place));
  let at = 0;
  for (const { bin, held, quota } of missing) {
    for (const end = at + quota - held.length; at < end; at++) {
      const place = free[at];
      if (place !== undefined) put(bin, place);
    }
  }
  for (const part of takers) {
    part.quota = 0;
    if (part.held.length > 0) part.held = [];
  }
}

function nextPart(parts: readonly Part[]): Part {
  const [first, ...others] = parts;
  if (first === undefined) throw new Error('a topic is dealt out to nobody');
  let best = first;
  for (const part of others) if (isBefore(part, best)) best = part;
  return best;
}

function isBefore(a: Part, b: Part): boolean {
  const inTopic = (2 * a.quota + 1) * b.bin.capacity - (2 * b.quota + 1) * a.bin.capacity;
  if (inTopic !== 0) return inTopic < 0;
  const byLoad = compareCost(a.bin, b.bin);
  if (byLoad !== 0) return byLoad < 0;
  return a.held.length > a.quota && b.held.length <= b.quota;
}
