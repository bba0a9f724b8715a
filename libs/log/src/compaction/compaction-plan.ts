/** What a compaction is told and what it answers: plain data, so that both cross to a process. */
import type { LogIdentity } from '../segment-header.ts';

/** A sealed segment. */
export interface SealedSegment {
  readonly baseOffset: bigint;
  /** Where the next segment begins. The segment's last batch may end below it. */
  readonly endOffset: bigint;
  /** Bytes of the log file, header included. */
  readonly size: number;
}

/** One pass over the sealed segments of a partition. */
export interface CompactionPlan {
  readonly directory: string;
  readonly identity: LogIdentity;
  /** Oldest first, adjacent, all sealed and wholly below the high watermark. */
  readonly segments: readonly SealedSegment[];
  /** Cuts of the log before: after another one the segments may be others with the same offsets. */
  readonly cutCount: number;
  /** Below it an earlier pass left one record of each key: only looked at where a newer record may end it. */
  readonly cleanedTo: bigint;
  /** A tombstone below it that is the last record of its key goes too. */
  readonly tombstonesEndBelow: bigint;
  /** Offsets with which the last batches of producer sessions end: of these at least the header stays. */
  readonly sessionEnds: readonly bigint[];
  /** Segments are merged as long as their file stays within this. */
  readonly segmentBytesMax: number;
  /** Memory for the keys above `cleanedTo`; a pass ends early at the batch whose keys would not fit. */
  readonly mapBytesMax: number;
  /** Bytes that are read and written in a second; undefined sets no bound. */
  readonly bytesPerSecondMax: number | undefined;
}

/** One new segment and those that it stands for. */
export interface CompactedGroup {
  /** That of the first source. */
  readonly baseOffset: bigint;
  /** End offset of the last source. */
  readonly endOffset: bigint;
  /** Base offsets of the segments that it replaces, oldest first, at least one. */
  readonly sources: readonly bigint[];
  /** Bytes of the new log file. */
  readonly size: number;
  /** Highest record timestamp; undefined when no batch is left. */
  readonly maxTimestampMs: bigint | undefined;
}

/** What a pass made. Its files are durable and wait for `swapIn`; segments that are in no group stay as they are. */
export interface CompactionResult {
  readonly groups: readonly CompactedGroup[];
  /** Below it each key now has one record. */
  readonly cleanedTo: bigint;
  /** Sums over all segments that the pass rewrote or looked through, records of control batches included. */
  readonly recordsBefore: number;
  readonly recordsAfter: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Tombstones that had stayed for their time; those that a newer record ended are not counted. */
  readonly removedTombstones: number;
  /** Tombstones that are the last of their key and have to stay for now. */
  readonly keptTombstones: number;
  /** Batches with good checksums whose records cannot be decoded; they are kept as they are. */
  readonly undecodableBatches: number;
}
