/** Everything that a replica knows; `step` changes it in place and nothing else does. */
import { ProducerTable } from '@partita/domain';
import type { ConfigOutcome } from './config-messages.ts';
import type { EpochStart } from './epoch-history.ts';
import type {
  AppendInput,
  DurableMeta,
  LeadInput,
  LeadOutcome,
  LogFacts,
  PromiseOutcome,
  Reply,
  Stamp,
} from './messages.ts';
import { committedBelow } from './replica-config.ts';
import type { ReplicaConfig, ReplicaIdentity } from './replica-config.ts';

/** An append that is in the log and not yet answered. */
export interface UnansweredAppend {
  /** Of the batch that lies in the log: the request's own, or the one that it repeats. */
  readonly stamp: Stamp;
  /** Offset behind the batch. */
  readonly endOffset: bigint;
  readonly request: AppendInput;
  /** True = the request repeats a batch that was in the log before. */
  readonly duplicate: boolean;
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
  /** It has acknowledged: its log is cut, and it takes what it is sent. Before that it would drop it. */
  isLive: boolean;
  readonly progress: Progress;
}

/** When an end last moved, or had nowhere to move to; kept by `expire` alone, so that no other input needs the time. */
export interface Progress {
  seenEnd: bigint;
  /** Monotonic, milliseconds; undefined until the first look. */
  atMs: number | undefined;
}

export function noProgress(): Progress {
  return { seenEnd: -1n, atMs: undefined };
}

/** A leader's last moments, or so it seems: `untilMs` ends them. */
export interface Pause {
  readonly successorId: string;
  /** Monotonic, milliseconds; of what is answered already it is `untilMs` that counts. */
  readonly levelByMs: number;
  readonly untilMs: number;
  /** Undefined once the successor is level. */
  reply: Reply<bigint> | undefined;
  /** In order; as bounded as the log's own queue. */
  queue: AppendInput[];
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
  /** Grows with each change of the in-sync set. */
  inSyncVersion: number;
  /** When the epoch began, as `expire` first saw it, monotonic milliseconds. */
  sinceMs: number | undefined;
  /** Appends that wait for followers to come in sync, in the epoch's first moments; undefined when those are over. */
  held: AppendInput[] | undefined;
  /** Set while it queues appends, so that a follower can draw level and lead next. */
  pause: Pause | undefined;
  /** Of the own log. */
  readonly progress: Progress;
}

/**
 * Follows a leader. `seeking`: has no stream for it; `joining`: has asked where to cut, or waits for its own writes before
 * it asks; `cutting`: the log is being changed; `live`: takes what the leader sends.
 */
export interface Following {
  readonly epoch: number;
  readonly leaderId: number;
  phase: 'seeking' | 'joining' | 'cutting' | 'live';
  /** Of the join; empty while seeking. */
  nonce: string;
  /** While cutting: where the log is to end. */
  cutTo: bigint;
  /** The join has not been sent: writes are under way. */
  joinIsDue: boolean;
  /** What the leader said last. */
  leaderHighWatermark: bigint;
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
  /** Whom to follow once it is persisted: the promise was made on the word of a leader, and nobody may lead by it. */
  readonly leaderId: number | undefined;
}

/** A change of the replica set that this leader has appended, until it is committed or given up. */
export interface ChangeUnderWay {
  readonly version: number;
  /** Behind its record. */
  readonly endOffset: bigint;
  /** Monotonic milliseconds after which its sender no longer waits. */
  readonly deadlineMs: number;
  readonly reply: Reply<ConfigOutcome>;
}

/** What the journal entry under way is for. */
export type Persisting = 'grant' | 'lead' | 'suspect' | 'floor';

/**
 * Invariants: logStart <= highWatermark <= durableEnd <= logEnd; ledEpoch <= promisedEpoch; one journal entry is under way
 * at a time; only a replica that does not lead follows, in the epoch that it has promised, and not while it grants another.
 */
export interface PartitionState {
  readonly self: ReplicaIdentity;
  /** Number of the partition, for the metadata of errors. */
  readonly topicId: string;
  readonly partition: number;
  role: Role;
  meta: DurableMeta;
  grant: GrantUnderWay | undefined;
  persisting: Persisting | undefined;
  /** What `meta.suspect` is to become, when that is not persisted yet. */
  suspectWish: boolean | undefined;
  following: Following | undefined;
  /** True while a cut or a new beginning is under way: the log changes, whoever is followed meanwhile. */
  isCutting: boolean;
  /** True = the log lies wholly above what the leader has: the next join says that there is none. */
  forgetsLog: boolean;
  /** Known configs, newest first, at least one. */
  configs: readonly ReplicaConfig[];
  /** Newest config version known to be committed; the journal follows it. */
  configFloor: number;
  /** What the journal is being told of that. */
  floorUnderWay: number;
  /** Behind the record of the newest config, or above: when that is committed, so is the config. */
  configEnd: bigint;
  /** Whoever waits for the change that is under way here. */
  change: ChangeUnderWay | undefined;
  history: readonly EpochStart[];
  logStart: bigint;
  /** Behind the last batch, written or not. */
  logEnd: bigint;
  durableEnd: bigint;
  highWatermark: bigint;
  /** Behind the last data record; control records do not count. */
  dataEnd: bigint;
  claim: LogFacts['claim'];
  lastAppendTimeMs: bigint;
  /** The fold of the log up to `logEnd`, written or not: replaced when the log is cut. */
  producers: ProducerTable;
  /**
   * In log order. Bounded by the log's queue, and beyond m = 1 by appends being refused without enough replicas;
   * duplicates that wait are limited by themselves.
   */
  readonly unanswered: UnansweredAppend[];
}

/** What recovery found of a replica. */
export interface RecoveredReplica extends LogFacts {
  readonly self: ReplicaIdentity;
  readonly topicId: string;
  readonly partition: number;
  readonly meta: DurableMeta;
  /** As last checkpointed; the true one may be higher. */
  readonly highWatermark: bigint;
}

/** A replica after a start: a follower, whatever it was before. All that recovery kept is durable. */
export function recoveredState(found: RecoveredReplica): PartitionState {
  const { highWatermark: checkpointed, logStart, logEnd } = found;
  const capped = checkpointed < logEnd ? checkpointed : logEnd;
  return {
    ...found,
    producers: new ProducerTable(found.producers),
    role: { kind: 'follower' },
    grant: undefined,
    persisting: undefined,
    suspectWish: undefined,
    following: undefined,
    isCutting: false,
    forgetsLog: false,
    configFloor: Math.max(found.meta.configFloor, committedBelow(found.configs)),
    floorUnderWay: 0,
    configEnd: logEnd,
    change: undefined,
    durableEnd: logEnd,
    highWatermark: capped > logStart ? capped : logStart,
    unanswered: [],
  };
}

/** The log took a CLAIM record. A new claim ends the sessions of the earlier ones; one that is repeated may be late. */
export function claimedBy(state: PartitionState, claim: LogFacts['claim']): void {
  if (claim.epoch > state.claim.epoch) state.producers = new ProducerTable();
  state.claim = claim;
}
