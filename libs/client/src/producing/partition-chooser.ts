/**
 * Which partition a record goes to: a key's hash lies in exactly one partition's range; records without a key stick to
 * one partition of their topic until a batch with them is sent, so that batches fill and load still spreads.
 */
import { invariant, PartitaError } from '@partita/domain';
import type { TopicRoute } from '@partita/protocol';

const STICKY_TOPIC_COUNT_MAX = 10_000;

export class PartitionChooser {
  /** Topic id to the partition that records without a key go to. */
  readonly #sticky = new Map<string, number>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** The partition named by the caller, checked. */
  named(route: TopicRoute, partition: number): number {
    if (partition >= 0 && partition < route.partitions.length) return partition;
    const metadata = {
      topic: route.topic,
      partition: String(partition),
      partition_count: String(route.partitions.length),
    };
    const range = `0 to ${route.partitions.length - 1}`;
    throw new PartitaError(
      'PARTITION_NOT_FOUND',
      `topic "${route.topic}" has partitions ${range}, not ${partition}`,
      metadata,
    );
  }

  /** Partition for the hash of a key, or for a record without one. */
  choose(route: TopicRoute, hash: number | undefined): number {
    return hash === undefined ? this.#keyless(route) : partitionOfHash(route, hash);
  }

  /** Told when a batch leaves: records without a key go elsewhere from now on. */
  batchSent(topicId: string, partition: number): void {
    if (this.#sticky.get(topicId) === partition) this.#sticky.delete(topicId);
  }

  #keyless(route: TopicRoute): number {
    const known = this.#sticky.get(route.topicId);
    if (known !== undefined) return known;
    if (this.#sticky.size >= STICKY_TOPIC_COUNT_MAX) this.#sticky.clear();
    const led = route.partitions.filter((partition) => partition.leaderId !== 0);
    const among = led.length > 0 ? led : route.partitions;
    const chosen = among[Math.floor(this.#random() * among.length)]?.partition ?? 0;
    this.#sticky.set(route.topicId, chosen);
    return chosen;
  }
}

/** Binary search over the key ranges, which cover 0 to 2^32-1 in ascending order of the partitions. */
export function partitionOfHash(route: TopicRoute, hash: number): number {
  let low = 0;
  let high = route.partitions.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hash > (route.partitions[middle]?.hashMax ?? 0)) low = middle + 1;
    else high = middle;
  }
  const found = route.partitions[low];
  invariant(
    found !== undefined && hash >= found.hashMin && hash <= found.hashMax,
    `no key range of ${route.topic} holds hash ${hash}`,
  );
  return found.partition;
}
