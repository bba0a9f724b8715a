/**
 * What goes into a replica and what comes out of it. Inputs are events that have happened; effects are orders to the
 * runner, which carries them out in the order given. Each effect says what it must wait for.
 */
import type { PartitaError, ProducerFacts, ProducerSequence } from '@partita/domain';
import type { ConfigOutcome, ProposeConfigInput } from './config-messages.ts';
import type { EpochStart } from './epoch-history.ts';
import type { ReplicaConfig } from './replica-config.ts';

/** What a replica's journal entry holds; it survives every crash. */
export interface DurableMeta {
  /** Highest epoch promised; never falls. */
  readonly promisedEpoch: number;
  /** Nonce of that promise, hex; empty when nothing was promised. */
  readonly grantNonce: string;
  /** Highest epoch led; never above promisedEpoch. */
  readonly ledEpoch: number;
  /** True = may have lost acknowledged bytes: does not count and does not lead. */
  readonly suspect: boolean;
  /** Newest config version known to be committed. */
  readonly configFloor: number;
}

/** Who appends under which number to a group shard; epoch 0 = nobody has claimed it. */
export interface Claim {
  readonly epoch: number;
  readonly instanceId: string;
}

/** What a leader writes into a batch. */
export interface Stamp {
  readonly baseOffset: bigint;
  readonly leaderEpoch: number;
  /** Leader's wall clock, milliseconds UTC, never below that of the batch before. */
  readonly appendTimeMs: bigint;
}

/** A batch is stored as far as was asked. */
export interface AppendAcked {
  readonly ok: true;
  readonly stamp: Stamp;
  readonly recordCount: number;
  /** Replicas that held it, the leader's included. */
  readonly replicasAcked: number;
  /** True = all of those had called fdatasync. */
  readonly fsynced: boolean;
  /** True = the batch lay in the log already, where the stamp says; nothing was appended for this request. */
  readonly duplicate: boolean;
}

/** What became of an append. A definite error says that nothing was stored; OUTCOME_UNKNOWN is the only other. */
export type AppendOutcome = AppendAcked | { readonly ok: false; readonly error: PartitaError };

/** Whom an answer goes to. The core passes it through and never calls it; the runner calls it exactly once. */
export type Reply<Result> = (result: Result) => void;

/** One batch that somebody wants appended. */
export interface AppendInput {
  readonly kind: 'append';
  /** The canonical batch, checked; the log stamps it in place. Opaque here. */
  readonly batch: Uint8Array;
  readonly recordCount: number;
  /** `all`: below the high watermark; `leader`: durable here. */
  readonly acks: 'all' | 'leader';
  /** Epoch that the sender believes; 0 = any. */
  readonly leaderEpoch: number;
  /** Refuse when a data record lies at or above it. */
  readonly expectedNextOffset: bigint | undefined;
  /** Claim under which it is written; 0 = none. */
  readonly claimEpoch: number;
  /** Set when the batch is itself a CLAIM record. */
  readonly claim: Claim | undefined;
  /** Identity of the batch when it belongs to a producer session, whose id is a UUID of version 7. */
  readonly producer: ProducerSequence | undefined;
  /** Wall clock now, milliseconds. */
  readonly wallMs: number;
  /** Monotonic clock after which the sender no longer waits, milliseconds. */
  readonly deadlineMs: number;
  readonly reply: Reply<AppendOutcome>;
}

/** A batch on its way into the log. The core makes it, the log takes or refuses it, `synced` answers it. */
export interface PlannedAppend {
  readonly stamp: Stamp;
  readonly recordCount: number;
  /** True for the first record of an epoch that an operator began, accepting the loss of records. */
  readonly unclean: boolean;
  /** Undefined for the control records that a leader writes for itself. */
  readonly request: AppendInput | undefined;
  /** Set when the batch is the record of a new config. */
  readonly change?: ProposeConfigInput;
}

export interface PromiseOutcome {
  readonly granted: boolean;
  /** Highest epoch promised to anybody. */
  readonly promisedEpoch: number;
  readonly lastEpoch: number;
  /** Durable end, exclusive. */
  readonly logEnd: bigint;
  readonly highWatermark: bigint;
  readonly suspect: boolean;
  /** Newest first. */
  readonly configs: readonly ReplicaConfig[];
  readonly configFloor: number;
}

export interface LeadOutcome {
  readonly leading: boolean;
  readonly promisedEpoch: number;
  readonly config: ReplicaConfig;
}

/**
 * `followed`: the stream to the leader has begun or ended. `config`: another config is in force, perhaps one without this
 * replica (`isRemoved`): then it is kept until it is ordered to be deleted.
 */
export type ReplicaChange = 'high-watermark' | 'role' | 'in-sync' | 'log-end' | 'followed' | 'config';

/** Asks for the promise to take part in no epoch below `epoch`, and in it only for this attempt. */
export interface PromiseInput {
  readonly kind: 'promise';
  readonly epoch: number;
  /** Of the election attempt, hex. */
  readonly nonce: string;
  readonly reply: Reply<PromiseOutcome>;
}

/** Makes the replica leader of the epoch that it promised, if its log is still what it reported then. */
export interface LeadInput {
  readonly kind: 'lead';
  readonly epoch: number;
  readonly nonce: string;
  readonly lastEpoch: number;
  readonly logEnd: bigint;
  /** Newest config version that any of those that promised knows to be committed. */
  readonly configFloor: number;
  /** True = an operator accepted the loss of records. */
  readonly unclean: boolean;
  readonly reply: Reply<LeadOutcome>;
}

/**
 * Asks a leader to queue appends until `untilMs`, so that a follower draws level that is to lead next. Answered with the end
 * of the log once that follower and the leader hold it durably and all of it is committed; -1 when that will not be: not led
 * here in that epoch, the follower is not in sync, or the pause ended before.
 */
export interface PauseInput {
  readonly kind: 'pause';
  readonly epoch: number;
  /** Replica that is to lead next. */
  readonly successorId: string;
  /** Monotonic clock when the pause ends if the follower has not drawn level, milliseconds. */
  readonly levelByMs: number;
  /** Monotonic clock when it ends by itself in any case, milliseconds. */
  readonly untilMs: number;
  readonly reply: Reply<bigint>;
}

/** Where a follower's log must be cut before it takes appends of the leader. */
export interface JoinOutcome {
  /** False = not led here in that epoch, or the replica is no part of the partition. */
  readonly joined: boolean;
  /** Epoch of the leader, or the highest that the refusing replica has promised. */
  readonly epoch: number;
  /** Exclusive; at least the log start of the leader, unless `fromSnapshot`. */
  readonly truncateTo: bigint;
  /** True = the follower ends below the leader's log: it begins anew with the leader's first segment. */
  readonly fromSnapshot: boolean;
  /** Unclean epochs of the leader's log that the follower has not met: with one it may cut below its high watermark. */
  readonly unclean: readonly EpochStart[];
}

/** A follower opens its stream for this partition. */
export interface JoinInput {
  readonly kind: 'join';
  readonly epoch: number;
  readonly brokerId: number;
  readonly replicaId: string;
  /** Of this stream, hex; acks carry it, so that those of an earlier stream do not count. */
  readonly nonce: string;
  readonly history: readonly EpochStart[];
  /** Durable, exclusive. */
  readonly logEnd: bigint;
  /** Newest config version that the follower knows to be committed. */
  readonly configFloor: number;
  readonly reply: Reply<JoinOutcome>;
}

/** A follower's log is durable up to `durableEnd`, exclusive. */
export interface FollowerAckInput {
  readonly kind: 'follower-ack';
  readonly epoch: number;
  readonly brokerId: number;
  readonly nonce: string;
  readonly durableEnd: bigint;
  readonly fsynced: boolean;
}

/** A follower's stream broke or fell silent: it no longer counts, at once. */
export interface FollowerLostInput {
  readonly kind: 'follower-lost';
  readonly brokerId: number;
  readonly nonce: string;
}

/** Somebody leads an epoch, as the directory or another replica says: the replica follows, unless it knows better. */
export interface FollowInput {
  readonly kind: 'follow';
  readonly epoch: number;
  readonly leaderId: number;
}

/** The stream to the leader's broker is there, for the leader that was sought. */
export interface LinkOpenInput {
  readonly kind: 'link-open';
  readonly leaderId: number;
  readonly epoch: number;
  /** Fresh for each join, hex: what belongs to an earlier one is dropped. */
  readonly nonce: string;
}

/** The leader's answer to a join. */
export interface JoinAckInput extends Omit<JoinOutcome, 'joined'> {
  readonly kind: 'join-ack';
  readonly nonce: string;
}

/** The state in front of the leader's first segment, for a follower that begins there. */
export interface SnapshotInput {
  readonly kind: 'snapshot';
  readonly nonce: string;
  readonly baseOffset: bigint;
  /** Opaque here. */
  readonly content: Uint8Array;
}

/** What a control batch says, as far as replication acts on it. */
export type ControlContent =
  | { readonly kind: 'epoch-start'; readonly config: ReplicaConfig; readonly unclean: boolean }
  | { readonly kind: 'config'; readonly config: ReplicaConfig }
  | { readonly kind: 'claim'; readonly claim: Claim };

/** A batch as its leader stored it, checked against both checksums. */
export interface ReplicatedBatch {
  readonly batch: Uint8Array;
  readonly baseOffset: bigint;
  /** Behind its last record. */
  readonly endOffset: bigint;
  readonly leaderEpoch: number;
  readonly appendTimeMs: bigint;
  /** Undefined for data. */
  readonly control: ControlContent | undefined;
  /** Undefined for what belongs to no producer session. */
  readonly producer: ProducerSequence | undefined;
}

/** The leader's batches from the end of the follower's log on, or news of the watermarks alone. */
export interface ReplicateInput {
  readonly kind: 'replicate';
  readonly epoch: number;
  readonly nonce: string;
  /** Where the follower's log must end; the first batch may begin above, where compaction left a hole. */
  readonly baseOffset: bigint;
  /** Epoch of the leader's last batch below `baseOffset`; 0 = none. */
  readonly previousEpoch: number;
  readonly batches: readonly ReplicatedBatch[];
  readonly highWatermark: bigint;
  readonly logStart: bigint;
  /** True = the leader counts this replica as in sync, in this epoch. */
  readonly inSync: boolean;
}

/** What a log adds up to, as recovery, a cut or a new beginning leave it. All of it is durable. */
export interface LogFacts {
  /** Known configs, newest first, at least one. */
  readonly configs: readonly ReplicaConfig[];
  readonly history: readonly EpochStart[];
  readonly logStart: bigint;
  readonly logEnd: bigint;
  readonly dataEnd: bigint;
  readonly claim: Claim;
  readonly lastAppendTimeMs: bigint;
  /** Producer sessions and requests that have not expired at `lastAppendTimeMs`. */
  readonly producers: ProducerFacts;
}

export type ReplicaInput =
  | PromiseInput
  | LeadInput
  | PauseInput
  | AppendInput
  | ProposeConfigInput
  | JoinInput
  | FollowerAckInput
  | FollowerLostInput
  | FollowInput
  | LinkOpenInput
  | JoinAckInput
  | SnapshotInput
  | ReplicateInput
  /** The leader's broker does not lead the partition, or will not have this replica: look for the leader again. */
  | { readonly kind: 'join-refused'; readonly nonce: string }
  /** The stream to the leader's broker broke or fell silent. */
  | { readonly kind: 'link-lost'; readonly leaderId: number }
  /** A follower has promised a higher epoch: this one is over. */
  | { readonly kind: 'fenced'; readonly promisedEpoch: number }
  /** The last `cut` or `install` is done, and durable. */
  | { readonly kind: 'log-cut'; readonly facts: LogFacts }
  /** The last `cut` or `install` could not be done for now (the disk is full); the log is as before. */
  | { readonly kind: 'cut-failed' }
  /** The log took a batch of the `store` effect. Fed before anything else. */
  | { readonly kind: 'log-stored'; readonly batch: ReplicatedBatch }
  /** The log refused a batch of the `store` effect and those behind it, and holds nothing of them. */
  | { readonly kind: 'store-refused' }
  /** Records below the offset are deleted, durably. */
  | { readonly kind: 'trimmed'; readonly logStart: bigint }
  /** What is on the disk of the log is not what was written: it must not count until a leader has checked it. */
  | { readonly kind: 'damaged' }
  /** The journal entry of the last `persist` is durable. */
  | { readonly kind: 'journaled'; readonly wallMs: number }
  /** The log took the batch of the `append` effect: it will be written, or the log fails. Fed before anything else. */
  | { readonly kind: 'log-took'; readonly planned: PlannedAppend }
  /** The log refused the batch of the `append` effect and holds nothing of it. Fed before anything else. */
  | { readonly kind: 'log-refused'; readonly planned: PlannedAppend; readonly error: PartitaError }
  /** The own log is durable (as its flush mode says) up to `end`, exclusive. */
  | { readonly kind: 'synced'; readonly end: bigint }
  /** Deadlines up to `nowMs` on the monotonic clock have passed; who makes no progress is looked at. */
  | { readonly kind: 'expire'; readonly nowMs: number }
  /** The log can no longer be written. */
  | { readonly kind: 'storage-failed'; readonly error: PartitaError };

export type ReplicaEffect =
  /** Hand the batch to the log, stamped, and feed `log-took` or `log-refused` before any other input. */
  | { readonly kind: 'append'; readonly batch: Uint8Array; readonly planned: PlannedAppend }
  /** As `append`, for the first record of an epoch. Comes only after the `persist` of `ledEpoch` was journaled. */
  | {
      readonly kind: 'append-epoch-start';
      readonly planned: PlannedAppend;
      readonly config: ReplicaConfig;
    }
  /** As `append`, for the record of a new config. */
  | { readonly kind: 'append-config'; readonly planned: PlannedAppend; readonly config: ReplicaConfig }
  /** Make the entry durable, then feed `journaled`. At most one is under way. */
  | { readonly kind: 'persist'; readonly meta: DurableMeta }
  /** Something that others wait for has changed: wake readers and senders, tell the coordinator. */
  | { readonly kind: 'changed'; readonly what: ReplicaChange }
  /** Feed the inputs, in their order, before any other. */
  | { readonly kind: 'again'; readonly inputs: readonly ReplicaInput[] }
  /** Find the stream to the leader's broker, or open it, then feed `link-open`. */
  | { readonly kind: 'seek'; readonly leaderId: number; readonly epoch: number }
  /** Send the join; all that it says is durable. */
  | {
      readonly kind: 'send-join';
      readonly leaderId: number;
      readonly epoch: number;
      readonly nonce: string;
      readonly history: readonly EpochStart[];
      readonly logEnd: bigint;
      readonly configFloor: number;
    }
  /** Cut the log, which is quiet, to the offset, then feed `log-cut`, or `cut-failed`. */
  | { readonly kind: 'cut'; readonly toOffset: bigint }
  /** Drop the log, which is quiet, and begin anew behind the snapshot (none at offset 0), then feed as for `cut`. */
  | { readonly kind: 'install'; readonly baseOffset: bigint; readonly content: Uint8Array | undefined }
  /** Hand the batches to the log one by one and feed `log-stored` for each; after the first refusal `store-refused`. */
  | { readonly kind: 'store'; readonly batches: readonly ReplicatedBatch[] }
  /** Tell the leader how far the own log is durable. */
  | {
      readonly kind: 'send-ack';
      readonly leaderId: number;
      readonly epoch: number;
      readonly nonce: string;
      readonly durableEnd: bigint;
      readonly fsynced: boolean;
    }
  /** Tell a broker that leads a lower epoch, or believes so, what is promised; open a stream to it if there is none. */
  | { readonly kind: 'send-fenced'; readonly leaderId: number; readonly promisedEpoch: number }
  /** The leader has deleted records below the offset, which is committed here: delete them, too. */
  | { readonly kind: 'trim'; readonly toOffset: bigint }
  /** Call `reply(outcome)`. For `ok` the bytes are durable already. */
  | { readonly kind: 'answer-append'; readonly reply: Reply<AppendOutcome>; readonly outcome: AppendOutcome }
  | { readonly kind: 'answer-pause'; readonly reply: Reply<bigint>; readonly logEnd: bigint }
  | { readonly kind: 'answer-config'; readonly reply: Reply<ConfigOutcome>; readonly outcome: ConfigOutcome }
  /** The promise, when granted, is durable already, and no append of a lower epoch is acknowledged after this. */
  | { readonly kind: 'answer-promise'; readonly reply: Reply<PromiseOutcome>; readonly outcome: PromiseOutcome }
  /** When leading, the epoch's first record is durable here already. */
  | { readonly kind: 'answer-lead'; readonly reply: Reply<LeadOutcome>; readonly outcome: LeadOutcome }
  | { readonly kind: 'answer-join'; readonly reply: Reply<JoinOutcome>; readonly outcome: JoinOutcome };
