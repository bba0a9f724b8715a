/** A partition as a member holds it, from its assignment until it is given up or taken away. */
import type { AssignedPartition, OffsetCommit } from '@partita/protocol';
import type { Position } from './position.ts';
import type { ReceivedRecord } from './record-form.ts';

/** A partition by name and number. */
export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

/**
 * held: records are delivered. revoking: the group wants it back; the record in progress is being finished. given: the
 * answer is sent. gone: it is another member's, commits for it would be refused.
 */
export type HoldState = 'held' | 'revoking' | 'given' | 'gone';

export class HeldPartition implements PartitionName {
  readonly topic: string;
  readonly partition: number;
  readonly assignmentEpoch: number;
  state: HoldState = 'held';
  /** True once onRevoked was told of it. */
  told = false;
  /** True while a handler has records of it. */
  busy = false;
  /** True = the caller wants no records of it. */
  paused = false;
  /** True once delivery was begun on the present stream. */
  begun = false;
  /** Where the group says that delivery begins: the committed offset when the assignment was told. */
  startOffset: bigint;
  /** Offset of the next record to hand out; what is below was handed out already. Undefined: not known yet. */
  nextWanted: bigint | undefined;
  /** Epoch of the record before `nextWanted`; 0 = unknown. */
  lastEpoch = 0;
  /** Where the caller sought to, until a commit makes that the group's knowledge too. */
  sought: Position | undefined;
  /** True = moved because of what was lost, and not committed since: the group's offset says nothing about it. */
  isAfterLoss = false;
  /** Grows with each move of the position: what was handed out before says nothing about what comes. */
  moves = 0;
  /** The last seek told to the service on this stream; 0 = none. */
  seekId = 0n;
  /** Position up to which the handler is done, and the epoch of the last record; undefined = nothing yet. */
  finished: { readonly nextOffset: bigint; readonly recordEpoch: number } | undefined;
  /** What the group has durably, as far as this member knows. */
  committed: bigint;
  /** Highest seen; undefined = none yet. */
  highWatermark: bigint | undefined;

  constructor(assigned: AssignedPartition) {
    this.topic = assigned.topic;
    this.partition = assigned.partition;
    this.assignmentEpoch = assigned.assignmentEpoch;
    this.startOffset = assigned.startOffset;
    this.committed = assigned.startOffset;
  }

  /** Offset of the next record to hand out; undefined after a seek whose place is not known yet. */
  get position(): bigint | undefined {
    return this.nextWanted ?? (this.sought === undefined ? this.startOffset : undefined);
  }

  /** Where to read on. */
  get place(): Position {
    return this.nextWanted ?? this.sought ?? this.startOffset;
  }

  finish(record: ReceivedRecord): void {
    this.finished = { nextOffset: record.offset + 1n, recordEpoch: record.leaderEpoch };
  }

  /** The position goes elsewhere, by no record's being handed out. */
  moveTo(offset: bigint | undefined): void {
    this.moves += 1;
    this.nextWanted = offset;
    this.lastEpoch = 0;
    this.finished = undefined;
  }

  /** A record is handed out. */
  passed(record: ReceivedRecord): void {
    this.nextWanted = record.offset + 1n;
    this.lastEpoch = record.leaderEpoch;
  }

  sawHighWatermark(highWatermark: bigint): void {
    if (this.highWatermark === undefined || highWatermark > this.highWatermark) this.highWatermark = highWatermark;
  }

  /** A commit is durable. One from before a move does not make the move known. */
  onCommitted(nextOffset: bigint, moves: number): void {
    if (moves !== this.moves) return;
    this.committed = nextOffset;
    this.sought = undefined;
    this.isAfterLoss = false;
  }

  /**
   * A stream begins anew where the group's knowledge ends. An offset below what this member knows to be committed, or
   * above what it handed out, was set by somebody else: it counts. Else what repeats is left out. A move of its own outlives streams.
   */
  resumeAt(startOffset: bigint): void {
    this.startOffset = startOffset;
    this.seekId = 0n;
    if (this.sought !== undefined || this.isAfterLoss) return;
    const wasReset = startOffset < this.committed || (this.nextWanted !== undefined && startOffset > this.nextWanted);
    if (wasReset) this.moveTo(startOffset);
    this.committed = startOffset;
  }

  get assigned(): AssignedPartition {
    return { topic: this.topic, partition: this.partition, assignmentEpoch: this.assignmentEpoch, startOffset: 0n };
  }

  /** What to commit, or undefined when nothing is finished. */
  get commit(): OffsetCommit | undefined {
    if (this.finished === undefined) return undefined;
    const { topic, partition, assignmentEpoch } = this;
    return { topic, partition, assignmentEpoch, metadata: '', ...this.finished };
  }
}
