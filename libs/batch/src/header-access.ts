/**
 * Single values of a canonical header, for paths that touch many batches and need one of them (index scans, fetch,
 * retention): no header object, no bigint but the answer. `position` must be where isBatchAt() holds.
 */
import type { ProducerSequence } from '@partita/domain';
import { BATCH_DATA, batchBytesAt, FIELD_AT, HEADER_BYTES, PRODUCER_ID_BYTES } from './batch-header.ts';
import type { BatchType } from './batch-header.ts';
import { int32At, int64At, uint32At } from './little-endian.ts';

/** Offset of the first record. */
export function baseOffsetAt(buf: Uint8Array, position: number): bigint {
  return int64At(buf, position + FIELD_AT.baseOffset);
}

/** Offset of the last record as produced; the next batch begins right above it, or higher. */
export function lastOffsetAt(buf: Uint8Array, position: number): bigint {
  return baseOffsetAt(buf, position) + BigInt(lastOffsetDeltaAt(buf, position));
}

/** Last offset minus base offset. */
export function lastOffsetDeltaAt(buf: Uint8Array, position: number): number {
  return int32At(buf, position + FIELD_AT.lastOffsetDelta);
}

/** Epoch of the leader that appended the batch. */
export function leaderEpochAt(buf: Uint8Array, position: number): number {
  return int32At(buf, position + FIELD_AT.leaderEpoch);
}

/** Leader's wall clock at append, milliseconds. */
export function appendTimeMsAt(buf: Uint8Array, position: number): bigint {
  return int64At(buf, position + FIELD_AT.appendTimeMs);
}

/** Highest record timestamp, milliseconds. */
export function maxTimestampMsAt(buf: Uint8Array, position: number): bigint {
  return int64At(buf, position + FIELD_AT.maxTimestampMs);
}

/** Records in the batch. */
export function recordCountAt(buf: Uint8Array, position: number): number {
  return int32At(buf, position + FIELD_AT.recordCount);
}

/** Checksum of the stamped header. */
export function headerCrcAt(buf: Uint8Array, position: number): number {
  return uint32At(buf, position + FIELD_AT.headerCrc);
}

/** Checksum of the records. */
export function recordsCrcAt(buf: Uint8Array, position: number): number {
  return uint32At(buf, position + FIELD_AT.recordsCrc);
}

/** What the batch holds. */
export function batchTypeAt(buf: Uint8Array, position: number): BatchType {
  return buf[position + FIELD_AT.type] as BatchType;
}

/** The records as stored (compressed or not), a view. The whole batch must be in `buf`. */
export function recordsAt(buf: Uint8Array, position: number): Uint8Array {
  return buf.subarray(position + HEADER_BYTES, position + batchBytesAt(buf, position));
}

/** True when the batch belongs to a producer session: its producer id is not all zeros. */
export function hasProducerAt(buf: Uint8Array, position: number): boolean {
  const at = position + FIELD_AT.producerId;
  return (int32At(buf, at) | int32At(buf, at + 4) | int32At(buf, at + 8) | int32At(buf, at + 12)) !== 0;
}

/** Producer id, 16 bytes as hex. */
export function producerIdAt(buf: Uint8Array, position: number): string {
  const at = position + FIELD_AT.producerId;
  return Buffer.from(buf.buffer, buf.byteOffset + at, PRODUCER_ID_BYTES).toString('hex');
}

/** Epoch of the producer session; -1 without one. */
export function producerEpochAt(buf: Uint8Array, position: number): number {
  return int32At(buf, position + FIELD_AT.producerEpoch);
}

/** Sequence of the first record; -1 without a producer session. */
export function firstSequenceAt(buf: Uint8Array, position: number): bigint {
  return int64At(buf, position + FIELD_AT.firstSequence);
}

/** What makes the batch known again when it is repeated; undefined when it belongs to no producer session. */
export function producerSequenceAt(buf: Uint8Array, position: number): ProducerSequence | undefined {
  if (!hasProducerAt(buf, position) || batchTypeAt(buf, position) !== BATCH_DATA) return undefined;
  const firstSequence = firstSequenceAt(buf, position);
  return {
    producerId: producerIdAt(buf, position),
    producerEpoch: producerEpochAt(buf, position),
    firstSequence,
    lastSequence: firstSequence + BigInt(lastOffsetDeltaAt(buf, position)),
    recordsCrc: recordsCrcAt(buf, position),
  };
}
