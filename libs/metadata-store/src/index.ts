/** The cluster's directory, fenced and versioned: in Redis, or in the memory of one coordinator. */
export { createRedisMetadataStore } from './redis-metadata-store.ts';
export type { RedisMetadataStoreOptions } from './redis-metadata-store.ts';
export { createMemoryMetadataStore } from './memory-metadata-store.ts';
export type { MemoryMetadataStoreOptions } from './memory-metadata-store.ts';
export { MemoryDirectory } from './memory-directory.ts';
export { isMalformed as isDirectoryDamage } from './stored-fields.ts';
export { metadataKeys } from './keys.ts';
export type { MetadataKeys } from './keys.ts';
export type {
  DirectoryContent,
  DirectoryMeta,
  GroupHint,
  LeaseAttempt,
  LeaseHolder,
  LeaseToken,
  MetadataSnapshot,
  MetadataStore,
  MetaReading,
  MovesEntry,
  PartitionPublication,
  Published,
  PublishOutcome,
  RebuildRequest,
  RolledBack,
  StoreState,
  WriteOutcome,
  Written,
} from './metadata-store.ts';
export { comparePartitionVersions, PARTITION_STATUSES } from './partition-entry.ts';
export type { PartitionEntry, PartitionStatus, ReplicaIdentity } from './partition-entry.ts';
export type { AuditEntry, AuditPage } from './audit-entry.ts';
export { BROKER_STATES } from './broker-entry.ts';
export type { SettingsEntry } from './settings-entry.ts';
export type { BrokerEntry, BrokerState } from './broker-entry.ts';
export { FLUSH_MODES, TOPIC_STATES } from './topic-entry.ts';
export type { FlushMode, TopicEntry, TopicState, TopicTombstone } from './topic-entry.ts';
