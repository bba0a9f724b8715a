/**
 * What goes into a replica and what comes out of it. Inputs are events that have happened; effects are orders to the
 * runner, which carries them out in the order given. Each effect says what it must wait for.
 */
import type { PartitaError } from '@partita/domain';
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
  /** Undefined for the first record of an epoch, which the leader writes for itself. */
  readonly request: AppendInput | undefined;
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
  /** True = an operator accepted the loss of records. */
  readonly unclean: boolean;
  readonly reply: Reply<LeadOutcome>;
}

/** Where a follower's log must be cut before it takes appends of the leader. */
export interface JoinOutcome {
  readonly joined: boolean;
  readonly epoch: number;
  /** Exclusive. */
  readonly truncateTo: bigint;
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
  readonly logEnd: bigint;
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

export type ReplicaInput =
  | PromiseInput
  | LeadInput
  | AppendInput
  | JoinInput
  | FollowerAckInput
  | FollowerLostInput
  /** The journal entry of the last `persist` is durable. */
  | { readonly kind: 'journaled'; readonly wallMs: number }
  /** The log took the batch of the `append` effect: it will be written, or the log fails. Fed before anything else. */
  | { readonly kind: 'log-took'; readonly planned: PlannedAppend }
  /** The log refused the batch of the `append` effect and holds nothing of it. Fed before anything else. */
  | { readonly kind: 'log-refused'; readonly planned: PlannedAppend; readonly error: PartitaError }
  /** The own log is durable (as its flush mode says) up to `end`, exclusive. */
  | { readonly kind: 'synced'; readonly end: bigint }
  /** Deadlines up to `nowMs` on the monotonic clock have passed. */
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
      readonly unclean: boolean;
    }
  /** Make the entry durable, then feed `journaled`. At most one is under way. */
  | { readonly kind: 'persist'; readonly meta: DurableMeta }
  /** Committed records or the role have changed: wake readers, tell the coordinator. */
  | { readonly kind: 'changed'; readonly what: 'high-watermark' | 'role' }
  /** Call `reply(outcome)`. For `ok` the bytes are durable already. */
  | { readonly kind: 'answer-append'; readonly reply: Reply<AppendOutcome>; readonly outcome: AppendOutcome }
  /** The promise, when granted, is durable already, and no append of a lower epoch is acknowledged after this. */
  | { readonly kind: 'answer-promise'; readonly reply: Reply<PromiseOutcome>; readonly outcome: PromiseOutcome }
  /** When leading, the epoch's first record is durable here already. */
  | { readonly kind: 'answer-lead'; readonly reply: Reply<LeadOutcome>; readonly outcome: LeadOutcome }
  | { readonly kind: 'answer-join'; readonly reply: Reply<JoinOutcome>; readonly outcome: JoinOutcome };
