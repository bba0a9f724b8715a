/** Everything that a replica knows; `step` changes it in place and nothing else does. */
import type { EpochStart } from './epoch-history.ts';
import type {
  AppendInput,
  Claim,
  DurableMeta,
  LeadInput,
  LeadOutcome,
  PromiseOutcome,
  Reply,
  Stamp,
} from './messages.ts';
import type { ReplicaConfig, ReplicaIdentity } from './replica-config.ts';

/** An append that is in the log and not yet answered. */
export interface UnansweredAppend {
  readonly stamp: Stamp;
  /** Offset behind the batch. */
  readonly endOffset: bigint;
  readonly request: AppendInput;
  /** Undefined once answered, by its deadline. */
  reply: AppendInput['reply'] | undefined;
}

/** A follower as its leader sees it, within one epoch. */
export interface Follower {
  readonly replicaId: string;
  /** Nonce of its stream. */
  readonly nonce: string;
  /** Durable end, exclusive; 0 until its first acknowledgement, whatever it said when it joined. */
  durableEnd: bigint;
  fsynced: boolean;
  inSync: boolean;
}

/** Leads an epoch. Invariant: epoch = promisedEpoch = ledEpoch. */
export interface LeaderRole {
  readonly kind: 'leader';
  readonly epoch: number;
  /** Offset of the epoch's first record. */
  readonly epochStartOffset: bigint;
  /** Whoever asked it to lead, until the epoch's first record is durable. */
  leadReplies: Reply<LeadOutcome>[];
  /** By broker id. */
  readonly followers: Map<number, Follower>;
}

/** `becoming-leader`: `ledEpoch` is being made durable. `offline`: the log cannot be written. */
export type Role =
  | { readonly kind: 'follower' }
  | { readonly kind: 'becoming-leader'; readonly order: LeadInput; readonly replies: Reply<LeadOutcome>[] }
  | LeaderRole
  | { readonly kind: 'offline' };

/** A grant under way. */
export interface GrantUnderWay {
  readonly epoch: number;
  readonly nonce: string;
  readonly replies: Reply<PromiseOutcome>[];
  /** False while it waits for writes under way; then no append is taken any more, but those in the log are answered. */
  isPersisting: boolean;
}

/**
 * Invariants: logStart <= highWatermark <= durableEnd <= logEnd; ledEpoch <= promisedEpoch; at most one of grant
 * persisting and role becoming-leader, since one journal entry is under way at a time.
 */
export interface PartitionState {
  readonly self: ReplicaIdentity;
  /** Number of the partition, for the metadata of errors. */
  readonly topicId: string;
  readonly partition: number;
  role: Role;
  meta: DurableMeta;
  grant: GrantUnderWay | undefined;
  /** Known configs, newest first, at least one. */
  configs: readonly ReplicaConfig[];
  history: readonly EpochStart[];
  logStart: bigint;
  /** Behind the last batch, written or not. */
  logEnd: bigint;
  durableEnd: bigint;
  highWatermark: bigint;
  /** Behind the last data record; control records do not count. */
  dataEnd: bigint;
  claim: Claim;
  lastAppendTimeMs: bigint;
  /** In log order. Bounded by the log's queue, and beyond m = 1 by appends being refused without enough replicas. */
  readonly unanswered: UnansweredAppend[];
}

/** What recovery found of a replica. */
export interface RecoveredReplica {
  readonly self: ReplicaIdentity;
  readonly topicId: string;
  readonly partition: number;
  readonly meta: DurableMeta;
  /** Newest first, at least one. */
  readonly configs: readonly ReplicaConfig[];
  readonly history: readonly EpochStart[];
  readonly logStart: bigint;
  readonly logEnd: bigint;
  /** As last checkpointed; the true one may be higher. */
  readonly highWatermark: bigint;
  readonly dataEnd: bigint;
  readonly claim: Claim;
  readonly lastAppendTimeMs: bigint;
}

/** A replica after a start: a follower, whatever it was before. All that recovery kept is durable. */
export function recoveredState(found: RecoveredReplica): PartitionState {
  const { highWatermark: checkpointed, logStart, logEnd } = found;
  const capped = checkpointed < logEnd ? checkpointed : logEnd;
  return {
    ...found,
    role: { kind: 'follower' },
    grant: undefined,
    durableEnd: logEnd,
    highWatermark: capped > logStart ? capped : logStart,
    unanswered: [],
  };
}

/** The config in force. */
export function currentConfig(state: PartitionState): ReplicaConfig {
  const [newest] = state.configs;
  if (newest === undefined) throw new RangeError('a replica knows at least one config');
  return newest;
}
