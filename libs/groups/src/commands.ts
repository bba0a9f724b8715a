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
  /** Regular expression over names of topics; empty = none. */
  readonly topicPattern: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly rack: string;
  readonly capacity: number;
  /** Assignor that the member asks for; empty = any. The group uses what most members name. */
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
  /** Regular expression over names of topics; empty = none. */
  readonly topicPattern: string;
}

/** Changes what a member consumes. */
export interface SubscribeCommand {
  readonly kind: 'subscribe';
  readonly group: string;
  readonly memberId: string;
  readonly topics: readonly string[];
  /** Regular expression over names of topics; empty = none. */
  readonly topicPattern: string;
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
  readonly wallMs: number;
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

/** An operator moves committed offsets, up or down, also while members run. */
export interface ResetCommand {
  readonly kind: 'reset';
  readonly group: string;
  readonly moves: readonly {
    /** Name of the topic, for people. */
    readonly topic: string;
    readonly partition: TopicPartition;
    readonly nextOffset: bigint;
  }[];
  readonly wallMs: number;
}

/** Drops offsets that `expiredOffsets` found, and with the last one a group without members. */
export interface ExpireCommand {
  readonly kind: 'expire';
  readonly group: string;
  readonly partitions: readonly ExpiredOffset[];
}

/** An offset that has expired. */
export interface ExpiredOffset extends TopicPartition {
  /** Time from which its age was counted: an offset that has been used since is kept. Absent = not compared. */
  readonly idleSinceMs?: bigint;
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
  | ResetCommand
  | ExpireCommand
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

/** A topic as far as a group needs it. */
export interface CatalogTopic {
  readonly topicId: string;
  readonly partitionCount: number;
  /** Racks in which the partition is read at no distance; absent = nothing is known of racks. */
  readonly racksOf?: (partition: number) => readonly string[];
}

/** What the cluster has, as far as a group needs it. */
export interface TopicCatalog {
  /** A topic by name; undefined when there is none. */
  topic(name: string): CatalogTopic | undefined;
  /** Names of the topics, internal ones left out, that match a regular expression as a whole. Asked often: cache it. */
  matching(pattern: string): readonly string[];
  /** True when a topic of that id exists. */
  has(topicId: string): boolean;
}
