/** What a header must keep to before its batch is appended, judged without decoding a record. */
import { BATCH_BYTES_MAX, BATCH_RECORD_COUNT_MAX, BATCH_UNCOMPRESSED_BYTES_MAX } from '@partita/domain';
import { BATCH_DATA, CODEC_NONE } from './batch-header.ts';
import type { BatchHeader } from './batch-header.ts';
import { checkTimestamp } from './check-record.ts';
import { batchTooLarge, invalidBatch, recordTooLarge, unsupportedCodec } from './faults.ts';

/** What the receiver of a batch asks of it. */
export interface AcceptRules {
  /** The topic's record_bytes_max. */
  readonly recordBytesMax: number;
  /** Codecs that the topic takes; all when left out. */
  readonly codecs?: readonly number[];
  /** True for the cluster's own batches only; clients send data. */
  readonly allowControl?: boolean;
  /** The receiver's wall clock, milliseconds. */
  readonly wallMs: number;
  /** How far ahead of it a record may be; Infinity where record timestamps are not looked at. */
  readonly timestampFutureMsMax: number;
}

/** Smallest record in a RecordSet: a tag and a length of zero. */
const RECORD_BYTES_MIN = 2;
/** Most that a record's tag and length add to it in a RecordSet. */
const RECORD_FRAME_BYTES_MAX = 5;
const INT64_MAX = 2n ** 63n - 1n;

/** Throws for the first rule that the header of a batch from a client breaks. */
export function checkHeader(header: BatchHeader, rules: AcceptRules): void {
  checkKind(header, rules);
  checkSizes(header);
  if (header.type === BATCH_DATA) checkRecordSizes(header, rules.recordBytesMax);
  checkProducer(header);
  if (header.recordCount === 1 && header.minKeyHash < header.maxKeyHash) {
    throw invalidBatch('min_key_hash and max_key_hash differ in a batch of one record; set both to its hash');
  }
  if (header.firstTimestampMs > header.maxTimestampMs) {
    throw invalidBatch('first_timestamp_ms is above max_timestamp_ms; set the highest timestamp of the batch');
  }
  checkTimestamp(header.firstTimestampMs, Infinity);
  checkTimestamp(header.maxTimestampMs, rules.wallMs + rules.timestampFutureMsMax);
}

function checkKind(header: BatchHeader, rules: AcceptRules): void {
  if (header.type !== BATCH_DATA && rules.allowControl !== true) {
    throw invalidBatch(`batch type ${header.type} is the cluster's own; send type DATA`, { type: String(header.type) });
  }
  if (header.type !== BATCH_DATA && header.codec !== CODEC_NONE) {
    throw invalidBatch('a control batch is not compressed; use codec NONE');
  }
  if (rules.codecs !== undefined && !rules.codecs.includes(header.codec)) {
    throw unsupportedCodec(header.codec, rules.codecs);
  }
}

function checkSizes(header: BatchHeader): void {
  const { batchBytes, recordsBytes, recordCount, lastOffsetDelta, uncompressedBytes, codec } = header;
  if (batchBytes > BATCH_BYTES_MAX) throw batchTooLarge('bytes', 'a batch in bytes', batchBytes, BATCH_BYTES_MAX);
  if (recordCount > BATCH_RECORD_COUNT_MAX) {
    throw batchTooLarge('records', 'the number of records in a batch', recordCount, BATCH_RECORD_COUNT_MAX);
  }
  if (uncompressedBytes > BATCH_UNCOMPRESSED_BYTES_MAX) {
    throw batchTooLarge(
      'bytes',
      'a batch before compression in bytes',
      uncompressedBytes,
      BATCH_UNCOMPRESSED_BYTES_MAX,
    );
  }
  if (recordCount < 1) throw invalidBatch(`record_count is ${recordCount}; send at least one record`);
  if (lastOffsetDelta !== recordCount - 1) {
    throw invalidBatch(`last_offset_delta is ${lastOffsetDelta}; it must be record_count - 1 = ${recordCount - 1}`);
  }
  if (recordsBytes === 0) throw invalidBatch('records is empty; send at least one record');
  if (codec === CODEC_NONE && uncompressedBytes !== recordsBytes) {
    throw invalidBatch(
      `uncompressed_bytes is ${uncompressedBytes}, but records has ${recordsBytes} bytes and no codec`,
    );
  }
}

/** Bounds on what is inside without unpacking it: by count and total, some record would be impossible or too large. */
function checkRecordSizes(header: BatchHeader, recordBytesMax: number): void {
  const { recordCount, uncompressedBytes } = header;
  if (uncompressedBytes < recordCount * RECORD_BYTES_MIN) {
    throw invalidBatch(`${recordCount} records do not fit into the ${uncompressedBytes} bytes of uncompressed_bytes`);
  }
  const meanBytes = Math.ceil(uncompressedBytes / recordCount) - RECORD_FRAME_BYTES_MAX;
  if (meanBytes > recordBytesMax) throw recordTooLarge('bytes', 'the mean record in bytes', meanBytes, recordBytesMax);
}

function checkProducer(header: BatchHeader): void {
  const { producerEpoch, firstSequence } = header;
  if (!hasProducer(header)) {
    if (producerEpoch === -1 && firstSequence === -1n) return;
    throw invalidBatch('producer_epoch and first_sequence need a producer_id; without one set both to -1');
  }
  if (producerEpoch < 0 || firstSequence < 0n || firstSequence > INT64_MAX - BigInt(header.recordCount)) {
    throw invalidBatch(`producer_epoch ${producerEpoch} or first_sequence ${firstSequence} is out of range`);
  }
}

/** True when the batch belongs to a producer session. */
export function hasProducer(header: Pick<BatchHeader, 'producerId'>): boolean {
  return header.producerId.some((byte) => byte !== 0);
}
