/**
 * The door: takes a batch from outside in whatever valid protobuf form it has and gives the canonical bytes, checked,
 * ready to be stamped. From here on nothing parses it again. The records stay opaque: only their checksum is computed.
 */
import { BATCH_BYTES_MAX } from '@partita/domain';
import { checkHeader, hasProducer } from './accept-rules.ts';
import type { AcceptRules } from './accept-rules.ts';
import {
  BATCH_CLAIM,
  BATCH_DATA,
  batchBytesAt,
  CODEC_NONE,
  FIELD_AT,
  HEADER_BYTES,
  isBatchAt,
  readBatchHeader,
  writeBatchHeader,
} from './batch-header.ts';
import type { BatchCodec, BatchHeader, BatchType } from './batch-header.ts';
import { isBatchCodec } from './compression/codec.ts';
import { crc32c } from './crc32c.ts';
import { batchTooLarge, checksumMismatch, invalidBatch, unsupportedCodec } from './faults.ts';
import { readForeignBatch } from './foreign-batch.ts';
import type { ForeignHeader } from './foreign-batch.ts';
import { recordsAt } from './header-access.ts';
import { putInt32, putInt64 } from './little-endian.ts';

/** Most by which another valid form is longer than the canonical one: tags and lengths that are padded further. */
const FOREIGN_FORM_BYTES_MAX = 1024;

/**
 * Takes a serialised RecordBatches that holds exactly one batch and returns it in canonical form: `bytes` themselves
 * when they are (then the caller must own them, since a leader stamps in place), else a copy. UNSPECIFIED codec and
 * type become NONE and DATA, and a batch without producer gets epoch and sequence -1. The leader's four fields are
 * passed on as they are; stamping overwrites them.
 *
 * Throws MALFORMED_MESSAGE, INVALID_BATCH, BATCH_TOO_LARGE, RECORD_TOO_LARGE, UNSUPPORTED_CODEC, INVALID_TIMESTAMP or
 * CHECKSUM_MISMATCH, always before anything of the batch is kept.
 */
export function acceptBatch(bytes: Uint8Array, rules: AcceptRules): Buffer {
  const batch = canonicalBatch(bytes);
  const header = withoutProducerDefaults(batch, readBatchHeader(batch));
  checkHeader(header, rules);
  const crc = crc32c(recordsAt(batch, 0));
  if (crc !== header.recordsCrc) throw checksumMismatch('records_crc', header.recordsCrc, crc);
  return batch;
}

/**
 * The batch in canonical form, `bytes` themselves when they are; nothing else is checked. Throws MALFORMED_MESSAGE,
 * INVALID_BATCH, BATCH_TOO_LARGE or UNSUPPORTED_CODEC when it is no batch.
 */
export function canonicalBatch(bytes: Uint8Array): Buffer {
  checkBytes(bytes);
  if (isBatchAt(bytes, 0) && batchBytesAt(bytes, 0) === bytes.length) {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  const { header, records } = readForeignBatch(bytes);
  const batchBytes = HEADER_BYTES + records.length;
  if (batchBytes > BATCH_BYTES_MAX) throw batchTooLarge('bytes', 'a batch in bytes', batchBytes, BATCH_BYTES_MAX);
  const batch = Buffer.allocUnsafe(batchBytes);
  const codec = knownCodec(header);
  writeBatchHeader(batch, { ...header, codec, type: knownType(header), recordsBytes: records.length });
  batch.set(records, HEADER_BYTES);
  return batch;
}

/**
 * BATCH_TOO_LARGE for what no batch within the limit needs, before it is parsed or passed on: in another message with more
 * around it, a batch of 4 MiB would end the stream that others share.
 */
function checkBytes(bytes: Uint8Array): void {
  if (bytes.length <= BATCH_BYTES_MAX + FOREIGN_FORM_BYTES_MAX) return;
  throw batchTooLarge('bytes', 'a batch in bytes', bytes.length, BATCH_BYTES_MAX);
}

function knownCodec(header: ForeignHeader): BatchCodec {
  if (header.codec === 0) return CODEC_NONE;
  if (isBatchCodec(header.codec)) return header.codec;
  throw unsupportedCodec(header.codec);
}

function knownType(header: ForeignHeader): BatchType {
  if (header.type === 0) return BATCH_DATA;
  if (header.type <= BATCH_CLAIM) return header.type as BatchType;
  throw invalidBatch(`batch type ${header.type} is unknown; send type DATA`, { type: String(header.type) });
}

/** A generated client without a session leaves out epoch and sequence, which reads as 0; stored they are -1. */
function withoutProducerDefaults(batch: Buffer, header: BatchHeader): BatchHeader {
  if (hasProducer(header) || (header.producerEpoch === -1 && header.firstSequence === -1n)) return header;
  if (header.producerEpoch > 0 || header.firstSequence > 0n) return header;
  if (header.producerEpoch < -1 || header.firstSequence < -1n) return header;
  putInt32(batch, FIELD_AT.producerEpoch, -1);
  putInt64(batch, FIELD_AT.firstSequence, -1n);
  return readBatchHeader(batch);
}
