/** What a caller asks and changes of the partitions that its consumer holds. All of it throws STALE_GENERATION for others. */
import type { OffsetCommit } from '@partita/protocol';
import type { HeldPartition, PartitionName } from './held-partition.ts';
import type { HeldPartitions } from './held-partitions.ts';
import type { Position } from './position.ts';
import type { RecordSource } from './record-source.ts';

/** A position that the caller commits itself. */
export interface CommitPosition extends PartitionName {
  /** Offset of the next record to deliver. */
  readonly nextOffset: bigint;
  /** Anything, at most 4 KiB. */
  readonly metadata?: string | undefined;
}

/** Where a consumer stands in a partition. */
export interface PartitionLag extends PartitionName {
  /** Offset of the next record to hand out; undefined after a seek whose place is not known yet. */
  readonly position: bigint | undefined;
  /** Offset up to which records are committed to the log, exclusive, as heard last; undefined = not heard yet. */
  readonly highWatermark: bigint | undefined;
  /** Records between the two. */
  readonly lagRecords: bigint | undefined;
}

export class PartitionControl {
  readonly #held: HeldPartitions;
  readonly #source: RecordSource;

  constructor(held: HeldPartitions, source: RecordSource) {
    this.#held = held;
    this.#source = source;
  }

  position(partition: PartitionName): bigint | undefined {
    return this.#held.mustFind(partition).position;
  }

  lag(): PartitionLag[] {
    return this.#held.all().map((held) => {
      const { topic, partition, position, highWatermark } = held;
      const known = position !== undefined && highWatermark !== undefined;
      const ahead = known && highWatermark > position ? highWatermark - position : 0n;
      return { topic, partition, position, highWatermark, lagRecords: known ? ahead : undefined };
    });
  }

  seek(partition: PartitionName, position: Position): void {
    const held = this.#held.mustFind(partition);
    held.moveTo(typeof position === 'bigint' ? position : undefined);
    held.sought = position;
    this.#source.move(held);
  }

  setPaused(partitions: readonly PartitionName[], paused: boolean): void {
    for (const partition of partitions) {
      const held = this.#held.mustFind(partition);
      if (held.paused === paused) continue;
      held.paused = paused;
      this.#source.setPaused(held);
    }
  }

  /** A commit of a position that the caller chose. */
  commitAt(position: CommitPosition): { readonly held: HeldPartition; readonly offset: OffsetCommit } {
    const { nextOffset, metadata = '' } = position;
    const held = this.#held.mustFind(position);
    const { topic, partition, assignmentEpoch } = held;
    return { held, offset: { topic, partition, nextOffset, recordEpoch: 0, metadata, assignmentEpoch } };
  }
}
