/**
 * What can be asked of a group. A command carries everything that deciding it needs and the core cannot know: ids, times,
 * watermarks. Each is idempotent: after an append of doubtful outcome the shard is replayed and the command decided
 * again.
 */
import type { PartitaError, TopicPartition } from '@partita/domain';

/** Joins as a new member, or takes over the membership of a static one. */
export interface JoinCommand {
  readonly kind: 'join';
  readonly group: string;
  /** Id for a new member, made by the caller. */
  readonly memberId: string;
  readonly instanceId: string;
  readonly clientId: string;
  readonly peer: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly rack: string;
  readonly capacity: number;
  /** Empty = the group's, or the default for a new group. */
  readonly assignor: string;
  readonly wallMs: number;
}

/** A known member comes back with a new stream. */
export interface RejoinCommand {
  readonly kind: 'rejoin';
  readonly group: string;
  readonly memberId: string;
  /** Epoch that it had; 0 = it does not remember. */
  readonly memberEpoch: number;
  readonly instanceId: string;
  readonly topics: readonly string[];
}

/** Changes what a member consumes. */
export interface SubscribeCommand {
  readonly kind: 'subscribe';
  readonly group: string;
  readonly memberId: string;
  readonly topics: readonly string[];
}

/** A member gives partitions up, with last commits. */
export interface ReleaseCommand {
  readonly kind: 'release';
  readonly group: string;
  readonly memberId: string;
  readonly partitions: readonly (TopicPartition & { readonly assignmentEpoch: number })[];
  readonly commits: readonly OffsetCommit[];
  readonly wallMs: number;
}

/** A member goes, with last commits. */
export interface LeaveCommand {
  readonly kind: 'leave';
  readonly group: string;
  readonly memberId: string;
  readonly commits: readonly OffsetCommit[];
  readonly wallMs: number;
}

/** A member is put out: it was silent, or did not give up partitions in time. */
export interface FenceCommand {
  readonly kind: 'fence';
  readonly group: string;
  readonly memberId: string;
}

/** One position to commit. */
export interface OffsetCommit {
  readonly topic: string;
  readonly partition: TopicPartition;
  readonly nextOffset: bigint;
  readonly recordEpoch: number;
  readonly metadata: string;
  /** Epoch that goes with the commit: the assignment's or a later one of the member; 0 from outside. */
  readonly epoch: number;
  /** Highest high watermark that the caller has seen of the partition. */
  readonly highWatermark: bigint;
}

/** Commits offsets, of a member or (memberId empty) from outside. */
export interface CommitCommand {
  readonly kind: 'commit';
  readonly group: string;
  readonly memberId: string;
  readonly commits: readonly OffsetCommit[];
  readonly wallMs: number;
}

/** Commits where a group begins in partitions of which it has no offset yet. */
export interface StartOffsetsCommand {
  readonly kind: 'startOffsets';
  readonly group: string;
  readonly starts: readonly {
    readonly topic: string;
    readonly partition: TopicPartition;
    readonly nextOffset: bigint;
  }[];
  readonly wallMs: number;
}

/** Topics came, went or changed their partitions. */
export interface RefreshCommand {
  readonly kind: 'refresh';
  readonly group: string;
}

/** Deletes a group without members, with its offsets. */
export interface DeleteCommand {
  readonly kind: 'delete';
  readonly group: string;
}

export type GroupCommand =
  | JoinCommand
  | RejoinCommand
  | SubscribeCommand
  | ReleaseCommand
  | LeaveCommand
  | FenceCommand
  | CommitCommand
  | StartOffsetsCommand
  | RefreshCommand
  | DeleteCommand;

/** A commit that was refused. */
export interface CommitRefusal {
  readonly commit: OffsetCommit;
  readonly error: PartitaError;
}

/** What a command answers once its records are durable; fields that do not apply are empty. */
export interface GroupResponse {
  /** The member that joined. */
  readonly memberId: string;
  /** Commits that were refused; the others hold. */
  readonly refusals: readonly CommitRefusal[];
}

/** What the cluster has, as far as a group needs it. */
export interface TopicCatalog {
  /** A topic by name; undefined when there is none. */
  topic(name: string): { readonly topicId: string; readonly partitionCount: number } | undefined;
  /** True when a topic of that id exists. */
  has(topicId: string): boolean;
}
