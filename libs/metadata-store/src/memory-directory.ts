/**
 * What Redis would hold, in the memory of one process. Several stores may share one directory, as several coordinators
 * share one Redis.
 */
import type { AuditEntry } from './audit-entry.ts';
import type { BrokerEntry } from './broker-entry.ts';
import type { DirectoryMeta } from './metadata-store.ts';
import type { PartitionEntry } from './partition-entry.ts';
import type { SettingsEntry } from './settings-entry.ts';
import type { TopicEntry, TopicTombstone } from './topic-entry.ts';

export interface StoredLease {
  readonly run: string;
  readonly url: string;
  readonly number: number;
  readonly ttlMs: number;
  /** Monotonic. */
  readonly endsMs: number;
}

export interface DirectoryState {
  meta: DirectoryMeta | undefined;
  lease: StoredLease | undefined;
  leaseNumberGiven: number;
  brokers: Map<number, BrokerEntry>;
  topicIds: Map<string, string>;
  topics: Map<string, TopicEntry>;
  /** Topic id -> partition -> entry. */
  partitions: Map<string, Map<number, PartitionEntry>>;
  /** Topic id -> what it was, and until when (monotonic) that is kept. */
  tombstones: Map<string, { readonly tombstone: TopicTombstone; readonly endsMs: number }>;
  groups: Map<number, string>;
  /** By reassignment id. */
  moves: Map<string, string>;
  settings: SettingsEntry | undefined;
  /** Oldest first; the first has the number `auditStart`. */
  audit: AuditEntry[];
  auditStart: number;
}

export class MemoryDirectory {
  state: DirectoryState = emptyState();

  /** Forgets everything, as FLUSHALL does. */
  wipe(): void {
    this.state = emptyState();
  }

  /** A copy that `restore` brings back, as a Redis restored from a backup. */
  backUp(): DirectoryState {
    return structuredClone(this.state);
  }

  restore(backup: DirectoryState): void {
    this.state = structuredClone(backup);
  }
}

function emptyState(): DirectoryState {
  return {
    meta: undefined,
    lease: undefined,
    leaseNumberGiven: 0,
    brokers: new Map(),
    topicIds: new Map(),
    topics: new Map(),
    partitions: new Map(),
    tombstones: new Map(),
    groups: new Map(),
    moves: new Map(),
    settings: undefined,
    audit: [],
    auditStart: 0,
  };
}
