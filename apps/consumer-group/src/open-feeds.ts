/** The partitions that are being delivered by this instance, with what each feed knows at the moment. */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { PartitionFeed } from './partition-feed.ts';

type ObservedFeed = Pick<PartitionFeed, 'name' | 'bufferedBytes' | 'highWatermark' | 'isCaughtUp'>;

export class OpenFeeds {
  /** By group and partition: a partition has one holder, and so one feed. */
  readonly #feeds = new Map<string, ObservedFeed>();

  add(group: string, feed: ObservedFeed): void {
    this.#feeds.set(keyOf(group, feed.name), feed);
  }

  /** Nothing if another feed of the partition has taken its place. */
  remove(group: string, feed: ObservedFeed): void {
    const key = keyOf(group, feed.name);
    if (this.#feeds.get(key) === feed) this.#feeds.delete(key);
  }

  /** Read and not sent, over all of them. */
  get bufferedBytes(): number {
    let bytes = 0;
    for (const feed of this.#feeds.values()) bytes += feed.bufferedBytes;
    return bytes;
  }

  /** True = the group's member was sent all that is committed, and the group has committed that: nobody need be asked. */
  isDone(group: string, partition: TopicPartition, nextOffset: bigint | undefined): boolean {
    const feed = this.#feeds.get(keyOf(group, partition));
    return feed?.isCaughtUp === true && nextOffset !== undefined && nextOffset >= feed.highWatermark;
  }
}

function keyOf(group: string, partition: TopicPartition): string {
  return `${group}\0${partitionKey(partition)}`;
}
