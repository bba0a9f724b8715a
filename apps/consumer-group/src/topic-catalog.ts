/** The topics of the cluster as group decisions need them. */
import type { RouteCache } from '@partita/client';
import type { TopicCatalog } from '@partita/groups';
import type { TopicPatterns } from './topic-patterns.ts';

export function topicCatalog(
  table: Pick<RouteCache['table'], 'topic' | 'topicById' | 'brokers'>,
  patterns: Pick<TopicPatterns, 'matching'>,
): TopicCatalog {
  return {
    topic(name) {
      const route = table.topic(name);
      if (route === undefined) return undefined;
      const racks = new Map(
        table.brokers.filter(({ rack }) => rack !== '').map(({ brokerId, rack }) => [brokerId, rack]),
      );
      const topic = { topicId: route.topicId, partitionCount: route.partitions.length };
      if (racks.size === 0) return topic;
      // Those of all replicas: where the leader is changes too often to move a partition for it.
      const racksOf = (partition: number): readonly string[] =>
        (route.partitions[partition]?.replicas ?? []).flatMap(({ brokerId }) => racks.get(brokerId) ?? []);
      return { ...topic, racksOf };
    },
    matching: (pattern) => patterns.matching(pattern),
    has: (topicId) => table.topicById(topicId) !== undefined,
  };
}
