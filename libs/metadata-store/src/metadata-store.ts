/**
 * The port to the cluster's directory: who owns which partition, which topics and brokers there are, which
 * coordinator is active. The directory may lose its last second, be restored old, or be wiped; it never decides
 * which record is committed, and all of it can be written again by `rebuild`.
 *
 * Errors of every method: METADATA_STORE_UNAVAILABLE (no answer in time, or an answer that makes no sense; the write
 * may have happened, repeat it: every write is idempotent), WRONG_CLUSTER (another cluster's data), and for writes
 * NOT_ACTIVE_COORDINATOR (the lease is another's or has run out; metadata `holder_url` names the holder, if any).
 */
import type { AuditEntry, AuditPage } from './audit-entry.ts';
import type { BrokerEntry } from './broker-entry.ts';
import type { PartitionEntry } from './partition-entry.ts';
import type { SettingsEntry } from './settings-entry.ts';
import type { TopicEntry, TopicTombstone } from './topic-entry.ts';

export type StoreState = 'up' | 'down';

/** Proof of the lease: which run of a coordinator, and the how-manyeth holder it is. */
export interface LeaseToken {
  readonly run: string;
  readonly number: number;
}

export interface LeaseHolder {
  readonly run: string;
  readonly url: string;
  readonly number: number;
  /** Until the lease ends if nobody renews it, by the clock of the store. */
  readonly remainingMs: number;
}

export type LeaseAttempt = { readonly token: LeaseToken } | { readonly heldBy: LeaseHolder };

/**
 * The directory is not the one this process has seen: wiped (`generation` undefined), another build of it, or an older
 * revision. Nothing was written. The coordinator acquires the lease again if it is gone, then calls `rebuild` with
 * this generation as the expected one.
 */
export interface RolledBack {
  readonly status: 'rolled_back';
  readonly generation: string | undefined;
  readonly revision: number;
}

/** `unchanged`: the directory says this already, for example because the answer to the first try was lost. */
export interface Written {
  readonly status: 'written' | 'unchanged';
  readonly revision: number;
}

export type WriteOutcome = Written | RolledBack;

/** `stale`: the directory has a newer version, or other owners under this version. `no_topic`: the topic is not there. */
export type PublishOutcome = 'published' | 'unchanged' | 'stale' | 'no_topic';

export interface PartitionPublication {
  readonly topicId: string;
  readonly partition: number;
  readonly entry: PartitionEntry;
}

/** One outcome per publication, in their order. */
export interface Published {
  readonly status: 'published';
  readonly outcomes: readonly PublishOutcome[];
}

export interface DirectoryMeta {
  readonly clusterId: string;
  /** UUID of this build of the directory. */
  readonly generation: string;
  /** Grows with each write of one generation. */
  readonly revision: number;
}

/** `empty`: no finished build. `rolled_back`: below what this store has seen, or damaged; see RolledBack. */
export type MetaReading =
  | { readonly status: 'current'; readonly meta: DirectoryMeta }
  | { readonly status: 'empty' }
  | { readonly status: 'rolled_back'; readonly meta: DirectoryMeta };

/** Which instance of the group service claims a shard: a hint, JSON text that the coordinator owns. */
export interface GroupHint {
  readonly shard: number;
  readonly value: string;
}

/** Moves of replicas that were asked for: JSON text that the coordinator owns. */
export interface MovesEntry {
  readonly reassignmentId: string;
  readonly value: string;
}

/** All that the directory says. */
export interface DirectoryContent {
  readonly brokers: readonly BrokerEntry[];
  readonly topics: readonly TopicEntry[];
  readonly partitions: readonly PartitionPublication[];
  readonly tombstones: readonly TopicTombstone[];
  readonly groups: readonly GroupHint[];
  /** Settings of the cluster; undefined = never changed. */
  readonly settings: SettingsEntry | undefined;
  readonly moves: readonly MovesEntry[];
}

export interface MetadataSnapshot extends DirectoryContent {
  readonly meta: DirectoryMeta;
  /** True when this store has seen a newer revision of the same generation: do not trust, rebuild. */
  readonly rolledBack: boolean;
  /** Keys that hold what was never written there, and why; some 20 at most. They are left out: rebuild. */
  readonly faults: readonly string[];
}

export interface RebuildRequest {
  /** The generation to replace; undefined when there is none. Another one in the store is answered `rolled_back`. */
  readonly expectedGeneration: string | undefined;
  /** A new UUID. A repeat with the same one continues or finds it done. */
  readonly newGeneration: string;
  readonly content: DirectoryContent;
}

export interface MetadataStore {
  readonly state: StoreState;
  /** Tells every change of `state`; the returned function ends that. After a change to `up` call `readMeta`. */
  onStateChange(listener: (state: StoreState) => void): () => void;
  /** Resolves when the first try to connect has ended, well or not; from then on the store reconnects by itself. */
  connect(): Promise<void>;
  close(): Promise<void>;

  /** Takes the lease if it is free; the same `run` gets its own lease again, renewed. `url` is told to the others. */
  leaseAcquire(request: { readonly run: string; readonly url: string; readonly ttlMs: number }): Promise<LeaseAttempt>;
  /** Extends the lease by its ttl. `revision` of the answer is the last one seen. */
  leaseRenew(token: LeaseToken): Promise<WriteOutcome>;
  /** Gives the lease back; no error if it is another's by now. */
  leaseRelease(token: LeaseToken): Promise<void>;
  leaseHolder(): Promise<LeaseHolder | undefined>;

  readMeta(): Promise<MetaReading>;
  /** The whole directory, or undefined when there is no finished build (empty, wiped, in rebuild). */
  readAll(): Promise<MetadataSnapshot | undefined>;

  /**
   * Writes a new topic, or one that has another name now. TOPIC_ALREADY_EXISTS if the name is another topic's, TOPIC_NOT_FOUND if
   * this id was deleted.
   */
  createTopic(token: LeaseToken, topic: TopicEntry): Promise<WriteOutcome>;
  /** creating -> active; TOPIC_NOT_FOUND if it is not there. */
  activateTopic(token: LeaseToken, topicId: string): Promise<WriteOutcome>;
  /**
   * Writes a changed topic over an older version of itself; `unchanged` when this version or a newer one is there. Name
   * and state stay as they are. TOPIC_NOT_FOUND if it is not there.
   */
  updateTopic(token: LeaseToken, topic: TopicEntry): Promise<WriteOutcome>;
  /** Removes the topic and its partitions and remembers the id, whether the topic is there or not. */
  deleteTopic(token: LeaseToken, tombstone: TopicTombstone): Promise<WriteOutcome>;
  putBroker(token: LeaseToken, broker: BrokerEntry): Promise<WriteOutcome>;
  /** Forgets a broker; `unchanged` when it is not there. */
  removeBroker(token: LeaseToken, brokerId: number): Promise<WriteOutcome>;
  /** Writes the cluster's settings over an older version; `unchanged` when this version or a newer one is there. */
  putSettings(token: LeaseToken, settings: SettingsEntry): Promise<WriteOutcome>;
  putGroups(token: LeaseToken, groups: readonly GroupHint[]): Promise<WriteOutcome>;
  /** Writes reassignments; one with an empty value is removed. */
  putMoves(token: LeaseToken, moves: readonly MovesEntry[]): Promise<WriteOutcome>;
  /** Writes each entry whose (epoch, configVersion, isrVersion) is lexicographically above the stored one. */
  publishPartitions(token: LeaseToken, publications: readonly PartitionPublication[]): Promise<Published | RolledBack>;
  /** Adds to the audit trail, which keeps some METADATA_AUDIT_COUNT_MAX entries. A repeat adds them again. */
  appendAudit(token: LeaseToken, entries: readonly AuditEntry[]): Promise<WriteOutcome>;
  /** At most `count` entries, newest first, behind the page that answered `after`; undefined = from the newest. */
  readAudit(count: number, after: string | undefined): Promise<AuditPage>;
  /** Replaces the whole directory. Until it has ended, `readAll` finds none. */
  rebuild(token: LeaseToken, request: RebuildRequest): Promise<WriteOutcome>;
}
