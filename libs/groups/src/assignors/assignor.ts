/** What an assignor is: a pure, deterministic function from members and partitions to who shall hold what. */
import type { TopicPartition } from '@partita/domain';

/** A member as an assignor sees it. */
export interface Candidate {
  readonly memberId: string;
  /** Ids of the topics that it wants. */
  readonly topicIds: ReadonlySet<string>;
  /** Share relative to other members, at least 1. */
  readonly capacity: number;
  /** Empty = it does not say. */
  readonly rack: string;
}

export interface AssignorInput {
  readonly candidates: readonly Candidate[];
  /** Every wanted partition once, by topic and partition. */
  readonly partitions: readonly TopicPartition[];
  /** Who holds each partition, or shall get it, now; by partitionKey. */
  readonly current: ReadonlyMap<string, string>;
  /** Racks in which a partition is read at no distance; empty when nothing is known. */
  readonly racksOf: (partition: TopicPartition) => readonly string[];
}

/**
 * Who shall hold each partition, by partitionKey: one member that wants its topic. Partitions that nobody wants are not
 * in the answer. The same input gives the same output wherever it is computed, in whatever order members come; and what
 * it gave, taken as `current`, it gives again.
 */
export type Assignor = (input: AssignorInput) => ReadonlyMap<string, string>;
