/**
 * How many copies of partitions may be made at the same time: few in all, and one to each broker, or some that are small. A
 * copy counts until it has caught up.
 */
import type { ClusterState } from '@partita/cluster';
import {
  partitionKey,
  REPLICA_COPIES_OF_BROKER_BYTES_MAX,
  REPLICA_COPIES_OF_BROKER_COUNT_MAX,
  REPLICA_COPY_COUNT_MAX,
} from '@partita/domain';
import type { TopicPartition } from '@partita/domain';

export class CopySlots {
  readonly #state: ClusterState;
  /** Copies and their bytes, by broker that gets them. */
  readonly #taken = new Map<number, { count: number; bytes: bigint }>();
  #count = 0;

  /** `partitions`: those that may have copies under way. */
  constructor(state: ClusterState, partitions: Iterable<TopicPartition>) {
    this.#state = state;
    for (const at of partitions) {
      for (const { brokerId } of state.partition(at.topicId, at.partition)?.config?.learners ?? [])
        if (!this.#isDone(at, brokerId)) this.take(at, brokerId);
    }
  }

  /** True = another copy may begin somewhere. */
  get areLeft(): boolean {
    return this.#count < REPLICA_COPY_COUNT_MAX;
  }

  /** True when a copy to this broker may begin now. */
  isFree(at: TopicPartition, brokerId: number): boolean {
    const taken = this.#taken.get(brokerId);
    if (!this.areLeft || taken === undefined) return this.areLeft;
    const bytes = taken.bytes + this.#bytesOf(at);
    return taken.count < REPLICA_COPIES_OF_BROKER_COUNT_MAX && bytes <= REPLICA_COPIES_OF_BROKER_BYTES_MAX;
  }

  take(at: TopicPartition, brokerId: number): void {
    const { count, bytes } = this.#taken.get(brokerId) ?? { count: 0, bytes: 0n };
    this.#taken.set(brokerId, { count: count + 1, bytes: bytes + this.#bytesOf(at) });
    this.#count += 1;
  }

  /** Caught up, or nothing comes of it while its broker is away. */
  #isDone({ topicId, partition }: TopicPartition, brokerId: number): boolean {
    const key = partitionKey({ topicId, partition });
    const broker = this.#state.broker(brokerId);
    if (broker === undefined || broker.facts.status === 'down') return true;
    const report = broker.replicas.get(key);
    const leader = this.#state.broker(this.#leaderOf({ topicId, partition }))?.replicas.get(key);
    return report !== undefined && leader !== undefined && report.logEndOffset >= leader.highWatermark;
  }

  #bytesOf(at: TopicPartition): bigint {
    return this.#state.broker(this.#leaderOf(at))?.replicas.get(partitionKey(at))?.logBytes ?? 0n;
  }

  #leaderOf({ topicId, partition }: TopicPartition): number {
    return this.#state.partition(topicId, partition)?.leader ?? 0;
  }
}
