import { PartitionState, TimestampType } from '@partita/protocol';
import type { TopicRoute } from '@partita/protocol';

/** A route with `count` partitions of equal key ranges, all led by broker 1. For specs. */
export function routeOf(topic: string, count: number): TopicRoute {
  const bound = (index: number): number => Math.floor((index * 2 ** 32) / count);
  return {
    topic,
    topicId: '00000000-0000-7000-8000-000000000001',
    version: 1n,
    hashFunction: 'xxh32',
    partitions: Array.from({ length: count }, (_, partition) => ({
      partition,
      hashMin: bound(partition),
      hashMax: bound(partition + 1) - 1,
      leaderId: 1,
      leaderEpoch: 1,
      replicas: [],
      inSyncIds: [1],
      state: PartitionState.PARTITION_STATE_ONLINE,
    })),
    recordBytesMax: 1024 * 1024,
    allowedCodecs: [],
    timestampFutureMsMax: 3_600_000n,
    compacted: false,
    timestampType: TimestampType.TIMESTAMP_TYPE_CREATE,
  };
}
