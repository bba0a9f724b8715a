/** The disk of a broker: partition logs, and the files that say whose they are and what was promised. See FORMAT.md. */
export { diskErrorCode } from './disk.ts';
export type { Disk, DiskFile, FreeBytes, OpenMode } from './disk.ts';
export { createNodeDisk } from './node-disk.ts';
export { createHost } from './host.ts';
export type { Host } from './host.ts';
export { createLogDevice } from './log-device.ts';
export type { LogDevice, LogWrite } from './log-device.ts';
export { SYNC_CONCURRENCY_MAX, SyncScheduler } from './group-commit.ts';
export { openPartitionLog } from './open-partition-log.ts';
export type { PartitionLogOptions } from './open-partition-log.ts';
export type { PartitionLog } from './partition-log.ts';
export type { LogEvents, LogSettings } from './log-writer.ts';
export { WriteWatch } from './write-watch.ts';
export type { WriteTiming } from './write-watch.ts';
export { bytesFrom } from './log-bytes.ts';
export type { LogSlice } from './segment-reader.ts';
export type { FirstSnapshot } from './state-before.ts';
export type { EpochStart } from './epoch-history.ts';
export { isActiveOld, retentionStart } from './retention.ts';
export type { RetentionRules } from './retention.ts';
export { planCompaction } from './compaction/compaction-rules.ts';
export type { CompactionRules } from './compaction/compaction-rules.ts';
export type { CompactionPlan, CompactionResult } from './compaction/compaction-plan.ts';
export { compactSegments } from './compaction/compact-segments.ts';
export type { CompactionHooks } from './compaction/compaction-io.ts';
export { CompactionProcess } from './compaction/compaction-process.ts';
export { damageOf } from './log-damage.ts';
export type { LogDamage } from './log-damage.ts';
export { scrubLog } from './scrub.ts';
export type { LogState } from './log-state.ts';
export type { ControlRecord } from './snapshot.ts';
export { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.ts';
export type { LogIdentity, SegmentHeader } from './segment-header.ts';
export {
  decodeTopicConfigFile,
  encodeTopicConfigFile,
  readTopicConfigFile,
  writeTopicConfigFile,
} from './topic-config-file.ts';
export { keepSpareFile, releaseSpareFile } from './spare-file.ts';
export { lockDirectory } from './directory-lock.ts';
export type { DirectoryLock } from './directory-lock.ts';
export { openStorageIdentity } from './storage-identity.ts';
export type { StorageIdentity, StorageIdentityOptions } from './storage-identity.ts';
export { readCleanShutdown, takeCleanShutdown, writeCleanShutdown } from './clean-shutdown.ts';
export type { CleanShutdown } from './clean-shutdown.ts';
export { readCheckpoint, writeCheckpoint } from './checkpoint.ts';
export type { PartitionCheckpoint } from './checkpoint.ts';
export { JOURNAL_BYTES, openJournal } from './journal.ts';
export type { Journal, JournalOptions } from './journal.ts';
export { walkSegment } from './inspection/segment-walk.ts';
export { knownProgress, readBrokerFiles } from './inspection/broker-files.ts';
export type { BrokerFiles } from './inspection/broker-files.ts';
export type { Check, Finding, Report, Severity } from './inspection/finding.ts';
export { listSegments, locate } from './inspection/location.ts';
export type { Location, PartitionPlace } from './inspection/location.ts';
export { inspectPartition } from './inspection/partition-inspection.ts';
export type { PartitionTotals } from './inspection/partition-inspection.ts';
