/** The record batch: wire bytes = disk bytes. FORMAT.md beside src/ gives it byte by byte. */
export { crc32c } from './crc32c.ts';
export { keyHash } from './key-hash.ts';
export {
  BATCH_CLAIM,
  BATCH_CONFIG,
  BATCH_DATA,
  BATCH_EPOCH_START,
  batchBytesAt,
  CODEC_GZIP,
  CODEC_LZ4,
  CODEC_NONE,
  CODEC_ZSTD,
  HEADER_BYTES,
  isBatchAt,
  readBatchHeader,
  writeBatchHeader,
} from './batch-header.ts';
export type { BatchCodec, BatchHeader, BatchType } from './batch-header.ts';
export {
  appendTimeMsAt,
  baseOffsetAt,
  batchTypeAt,
  firstSequenceAt,
  hasProducerAt,
  headerCrcAt,
  lastOffsetAt,
  lastOffsetDeltaAt,
  leaderEpochAt,
  maxTimestampMsAt,
  producerEpochAt,
  producerIdAt,
  producerSequenceAt,
  recordCountAt,
  recordsAt,
  recordsCrcAt,
} from './header-access.ts';
export { headerSeed, stampBatch, verifyHeaderCrc, verifyRecordsCrc } from './header-checksum.ts';
export type { BatchStamp } from './header-checksum.ts';
export { batchesIn, decodeBatch } from './batch-codec.ts';
export type { DecodedBatch, PlacedBatch } from './batch-codec.ts';
export { RecordTable } from './record-table.ts';
export { recordTraces } from './record-traces.ts';
export type { RecordTrace } from './record-traces.ts';
export { emptiedBatch, filterBatch } from './filter-batch.ts';
export { hasProducer } from './accept-rules.ts';
export type { AcceptRules } from './accept-rules.ts';
export { acceptBatch, canonicalBatch } from './reframe.ts';
export { restampProducer } from './restamp-producer.ts';
export type { ProducerStamp } from './restamp-producer.ts';
export { validateRecords } from './validate-records.ts';
export { checkRecord } from './check-record.ts';
export type { RecordLimits } from './check-record.ts';
export { decodeRecordSet, encodeRecordSet, recordBytes } from './record-set.ts';
export type { DecodedRecord, RecordHeader, RecordInput } from './record-set.ts';
export { isUncleanStart } from './epoch-start.ts';
export { BatchBuilder, buildControlBatch } from './batch-builder.ts';
export type { BatchBuilderLimits, BatchFraming } from './batch-builder.ts';
export { compress, decompress, isBatchCodec } from './compression/codec.ts';
export { unsupportedCodec } from './faults.ts';
