/** The target of a group: who shall hold each partition that its members want, as its assignor says. */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { Candidate } from './assignors/assignor.ts';
import { assignorOf } from './assignors/registry.ts';
import type { CatalogTopic, TopicCatalog } from './commands.ts';
import { compareText } from './group-state.ts';
import type { Group } from './group-state.ts';
import type { MemberValue } from './records.ts';

export interface Target {
  /** Who shall hold each partition, by partitionKey. */
  readonly wanted: ReadonlyMap<string, string>;
  readonly partitions: ReadonlyMap<string, TopicPartition>;
}

export function targetOf(group: Group, catalog: TopicCatalog): Target {
  const topics = new Map<string, CatalogTopic>();
  const candidates: Candidate[] = [];
  // Members of a group mostly want the same: what they name is looked up once.
  const wantedBySubscription = new Map<string, ReadonlySet<string>>();
  for (const [memberId, member] of group.members) {
    const subscription = JSON.stringify([member.topicPattern, member.topics]);
    let topicIds = wantedBySubscription.get(subscription);
    if (topicIds === undefined) {
      topicIds = wantedTopics(member, catalog, topics);
      wantedBySubscription.set(subscription, topicIds);
    }
    candidates.push({ memberId, topicIds, capacity: member.capacity, rack: member.rack });
  }
  const partitions = partitionsOf(topics);
  const current = new Map<string, string>();
  for (const [key, held] of group.held) current.set(key, held.revoking ? held.targetMemberId : held.memberId);
  const wanted = assignorOf(group)({
    candidates,
    partitions: [...partitions.values()],
    current,
    racksOf: ({ topicId, partition }) => topics.get(topicId)?.racksOf?.(partition) ?? [],
  });
  return { wanted, partitions };
}

/** Ids of the topics that exist and that the member names or whose names match; adds them to `topics`. */
function wantedTopics(
  member: MemberValue,
  catalog: TopicCatalog,
  topics: Map<string, CatalogTopic>,
): ReadonlySet<string> {
  const wanted = new Set<string>();
  const matching = member.topicPattern === '' ? [] : catalog.matching(member.topicPattern);
  for (const name of [...member.topics, ...matching]) {
    const topic = catalog.topic(name);
    if (topic === undefined) continue;
    wanted.add(topic.topicId);
    topics.set(topic.topicId, topic);
  }
  return wanted;
}

/** All partitions, by topic and partition. */
function partitionsOf(topics: ReadonlyMap<string, CatalogTopic>): Map<string, TopicPartition> {
  const partitions = new Map<string, TopicPartition>();
  const sorted = [...topics.values()].sort((a, b) => compareText(a.topicId, b.topicId));
  for (const { topicId, partitionCount } of sorted) {
    for (let partition = 0; partition < partitionCount; partition++) {
      const place = { topicId, partition };
      partitions.set(partitionKey(place), place);
    }
  }
  return partitions;
}
