/**
 * The canonical header of a batch, 128 bytes, all numbers little-endian. It is protobuf (`RecordBatches.batches`), but
 * with every field present and in order, and both lengths as varints padded to 4 bytes, so that each value has a fixed
 * place. FORMAT.md has the same table with the reasons.
 *
 *     0  0A, 1-4  length of the batch behind byte 5 (123 + records)    71  5A 10, 73-88  producer_id
 *     5  09,   6  base_offset        sfixed64                          89  65,  90  producer_epoch    sfixed32
 *    14  15,  15  leader_epoch       sfixed32                          94  69,  95  first_sequence    sfixed64
 *    19  19,  20  append_time_ms     sfixed64                         103  75, 104  min_key_hash      fixed32
 *    28  25,  29  header_crc         fixed32                          108  7D, 109  max_key_hash      fixed32
 *    33  2D,  34  records_crc        fixed32                          113  80 01, 115  codec          1 byte
 *    38  35,  39  record_count       sfixed32                         116  88 01, 118  type           1 byte
 *    43  3D,  44  last_offset_delta  sfixed32                         119  90 01, 121  has_tombstones 1 byte
 *    48  41,  49  first_timestamp_ms sfixed64                         122  9A 01, 124-127  length of records
 *    57  49,  58  max_timestamp_ms   sfixed64                         128  records
 *    66  55,  67  uncompressed_bytes sfixed32
 */
import { invariant } from '@partita/domain';
import { invalidBatch } from './faults.ts';
import { int32At, int64At, putInt32, putInt64, uint32At } from './little-endian.ts';

/** Bytes in front of the records of a canonical batch. */
export const HEADER_BYTES = 128;
/** Length of a batch's message without its records: the header behind the first tag and length. */
const MESSAGE_BYTES_MIN = HEADER_BYTES - 5;
/** Most that a varint of 4 bytes holds. */
const PADDED_VARINT_MAX = 2 ** 28 - 1;
/** Bytes of a producer id. */
export const PRODUCER_ID_BYTES = 16;

export const CODEC_NONE = 1;
export const CODEC_ZSTD = 2;
export const CODEC_LZ4 = 3;
export const CODEC_GZIP = 4;
/** How the records of a batch are compressed; values of partita.v1.CompressionCodec. */
export type BatchCodec = typeof CODEC_NONE | typeof CODEC_ZSTD | typeof CODEC_LZ4 | typeof CODEC_GZIP;

export const BATCH_DATA = 1;
export const BATCH_EPOCH_START = 2;
export const BATCH_CONFIG = 3;
export const BATCH_CLAIM = 4;
/** What a batch holds; values of partita.v1.BatchType. All but DATA are control batches. */
export type BatchType = typeof BATCH_DATA | typeof BATCH_EPOCH_START | typeof BATCH_CONFIG | typeof BATCH_CLAIM;

/** Where each value begins in the header. */
export const FIELD_AT = {
  baseOffset: 6,
  leaderEpoch: 15,
  appendTimeMs: 20,
  headerCrc: 29,
  recordsCrc: 34,
  recordCount: 39,
  lastOffsetDelta: 44,
  firstTimestampMs: 49,
  maxTimestampMs: 58,
  uncompressedBytes: 67,
  producerId: 73,
  producerEpoch: 90,
  firstSequence: 95,
  minKeyHash: 104,
  maxKeyHash: 109,
  codec: 115,
  type: 118,
  hasTombstones: 121,
  recordsLength: 124,
} as const;

/** Every byte of the header that is the same in all batches, as position and value. */
const FIXED_BYTES: readonly (readonly [number, number])[] = [
  [0, 0x0a],
  [5, 0x09],
  [14, 0x15],
  [19, 0x19],
  [28, 0x25],
  [33, 0x2d],
  [38, 0x35],
  [43, 0x3d],
  [48, 0x41],
  [57, 0x49],
  [66, 0x55],
  [71, 0x5a],
  [72, PRODUCER_ID_BYTES],
  [89, 0x65],
  [94, 0x69],
  [103, 0x75],
  [108, 0x7d],
  [113, 0x80],
  [114, 0x01],
  [116, 0x88],
  [117, 0x01],
  [119, 0x90],
  [120, 0x01],
  [122, 0x9a],
  [123, 0x01],
];
const FIXED_AT = Uint8Array.from(FIXED_BYTES, ([at]) => at);
const FIXED_VALUE = Uint8Array.from(FIXED_BYTES, ([, value]) => value);

/** The header of one batch; field meanings and units are those of partita.v1.RecordBatch. */
export interface BatchHeader {
  readonly baseOffset: bigint;
  readonly leaderEpoch: number;
  readonly appendTimeMs: bigint;
  readonly headerCrc: number;
  readonly recordsCrc: number;
  readonly recordCount: number;
  readonly lastOffsetDelta: number;
  readonly firstTimestampMs: bigint;
  readonly maxTimestampMs: bigint;
  readonly uncompressedBytes: number;
  /** 16 bytes, a view of the buffer that was read; all zeros without a producer session. */
  readonly producerId: Uint8Array;
  readonly producerEpoch: number;
  readonly firstSequence: bigint;
  readonly minKeyHash: number;
  readonly maxKeyHash: number;
  readonly codec: BatchCodec;
  readonly type: BatchType;
  readonly hasTombstones: boolean;
  /** Bytes of `records`, as stored. */
  readonly recordsBytes: number;
  /** Bytes of the whole batch: header and records. */
  readonly batchBytes: number;
}

/** Why the 128 bytes at `position` are no canonical header, or undefined when they are. */
function headerFault(buf: Uint8Array, position: number): string | undefined {
  if (position < 0 || position + HEADER_BYTES > buf.length) {
    return `${Math.max(0, buf.length - position)} bytes are left of a ${HEADER_BYTES}-byte header`;
  }
  if (!hasFixedBytes(buf, position)) {
    const [at] = FIXED_BYTES.find(([place, value]) => buf[position + place] !== value) ?? [0];
    return `byte ${at} is not the tag that stands there`;
  }
  const messageBytes = paddedVarintAt(buf, position + 1);
  const recordsBytes = paddedVarintAt(buf, position + FIELD_AT.recordsLength);
  if (messageBytes < 0 || recordsBytes < 0) return 'a length is not a varint padded to 4 bytes';
  if (messageBytes !== MESSAGE_BYTES_MIN + recordsBytes) return 'the lengths of batch and records do not agree';
  const codec = buf[position + FIELD_AT.codec] as number;
  if (codec < CODEC_NONE || codec > CODEC_GZIP) return `codec ${codec} is unknown`;
  const type = buf[position + FIELD_AT.type] as number;
  if (type < BATCH_DATA || type > BATCH_CLAIM) return `batch type ${type} is unknown`;
  return (buf[position + FIELD_AT.hasTombstones] as number) > 1 ? 'has_tombstones is neither 0 nor 1' : undefined;
}

/** Without a branch per byte: nearly always all of them are right. */
function hasFixedBytes(buf: Uint8Array, position: number): boolean {
  let difference = 0;
  for (let i = 0; i < FIXED_AT.length; i++) {
    difference |= (buf[position + (FIXED_AT[i] as number)] as number) ^ (FIXED_VALUE[i] as number);
  }
  return difference === 0;
}

/** True when a canonical header begins at `position`. Says nothing about the records or the checksums. */
export function isBatchAt(buf: Uint8Array, position: number): boolean {
  return headerFault(buf, position) === undefined;
}

/** Reads the canonical header at `position`; INVALID_BATCH when there is none. The records need not be in `buf`. */
export function readBatchHeader(buf: Uint8Array, position = 0): BatchHeader {
  const fault = headerFault(buf, position);
  if (fault !== undefined) {
    throw invalidBatch(`no canonical batch header at byte ${position}: ${fault}`, { position: String(position) });
  }
  const idAt = position + FIELD_AT.producerId;
  return {
    baseOffset: int64At(buf, position + FIELD_AT.baseOffset),
    leaderEpoch: int32At(buf, position + FIELD_AT.leaderEpoch),
    appendTimeMs: int64At(buf, position + FIELD_AT.appendTimeMs),
    headerCrc: uint32At(buf, position + FIELD_AT.headerCrc),
    recordsCrc: uint32At(buf, position + FIELD_AT.recordsCrc),
    recordCount: int32At(buf, position + FIELD_AT.recordCount),
    lastOffsetDelta: int32At(buf, position + FIELD_AT.lastOffsetDelta),
    firstTimestampMs: int64At(buf, position + FIELD_AT.firstTimestampMs),
    maxTimestampMs: int64At(buf, position + FIELD_AT.maxTimestampMs),
    uncompressedBytes: int32At(buf, position + FIELD_AT.uncompressedBytes),
    producerId: buf.subarray(idAt, idAt + PRODUCER_ID_BYTES),
    producerEpoch: int32At(buf, position + FIELD_AT.producerEpoch),
    firstSequence: int64At(buf, position + FIELD_AT.firstSequence),
    minKeyHash: uint32At(buf, position + FIELD_AT.minKeyHash),
    maxKeyHash: uint32At(buf, position + FIELD_AT.maxKeyHash),
    codec: buf[position + FIELD_AT.codec] as BatchCodec,
    type: buf[position + FIELD_AT.type] as BatchType,
    hasTombstones: buf[position + FIELD_AT.hasTombstones] === 1,
    recordsBytes: paddedVarintAt(buf, position + FIELD_AT.recordsLength),
    batchBytes: batchBytesAt(buf, position),
  };
}

/** Writes a canonical header, 128 bytes, at `position`; batchBytes follows from recordsBytes. */
export function writeBatchHeader(buf: Uint8Array, header: Omit<BatchHeader, 'batchBytes'>, position = 0): void {
  invariant(position + HEADER_BYTES <= buf.length, 'a batch header needs 128 bytes of room');
  invariant(header.producerId.length === PRODUCER_ID_BYTES, 'a producer id has 16 bytes');
  for (let i = 0; i < FIXED_AT.length; i++) buf[position + (FIXED_AT[i] as number)] = FIXED_VALUE[i] as number;
  putPaddedVarint(buf, position + 1, MESSAGE_BYTES_MIN + header.recordsBytes);
  putInt64(buf, position + FIELD_AT.baseOffset, header.baseOffset);
  putInt32(buf, position + FIELD_AT.leaderEpoch, header.leaderEpoch);
  putInt64(buf, position + FIELD_AT.appendTimeMs, header.appendTimeMs);
  putInt32(buf, position + FIELD_AT.headerCrc, header.headerCrc);
  putInt32(buf, position + FIELD_AT.recordsCrc, header.recordsCrc);
  putInt32(buf, position + FIELD_AT.recordCount, header.recordCount);
  putInt32(buf, position + FIELD_AT.lastOffsetDelta, header.lastOffsetDelta);
  putInt64(buf, position + FIELD_AT.firstTimestampMs, header.firstTimestampMs);
  putInt64(buf, position + FIELD_AT.maxTimestampMs, header.maxTimestampMs);
  putInt32(buf, position + FIELD_AT.uncompressedBytes, header.uncompressedBytes);
  buf.set(header.producerId, position + FIELD_AT.producerId);
  putInt32(buf, position + FIELD_AT.producerEpoch, header.producerEpoch);
  putInt64(buf, position + FIELD_AT.firstSequence, header.firstSequence);
  putInt32(buf, position + FIELD_AT.minKeyHash, header.minKeyHash);
  putInt32(buf, position + FIELD_AT.maxKeyHash, header.maxKeyHash);
  buf[position + FIELD_AT.codec] = header.codec;
  buf[position + FIELD_AT.type] = header.type;
  buf[position + FIELD_AT.hasTombstones] = header.hasTombstones ? 1 : 0;
  putPaddedVarint(buf, position + FIELD_AT.recordsLength, header.recordsBytes);
}

/** Bytes of the batch at `position`, header and records. Like all accessors: only where isBatchAt() holds. */
export function batchBytesAt(buf: Uint8Array, position: number): number {
  return HEADER_BYTES + paddedVarintAt(buf, position + FIELD_AT.recordsLength);
}

/** Value of a varint padded to exactly 4 bytes, or -1 when it is not one. */
function paddedVarintAt(buf: Uint8Array, at: number): number {
  const a = buf[at] as number;
  const b = buf[at + 1] as number;
  const c = buf[at + 2] as number;
  const d = buf[at + 3] as number;
  if ((a & b & c) < 0x80 || d >= 0x80) return -1;
  return (a & 0x7f) | ((b & 0x7f) << 7) | ((c & 0x7f) << 14) | (d << 21);
}

function putPaddedVarint(buf: Uint8Array, at: number, value: number): void {
  invariant(value >= 0 && value <= PADDED_VARINT_MAX, () => `a batch length is 0..${PADDED_VARINT_MAX}, not ${value}`);
  buf[at] = (value & 0x7f) | 0x80;
  buf[at + 1] = ((value >>> 7) & 0x7f) | 0x80;
  buf[at + 2] = ((value >>> 14) & 0x7f) | 0x80;
  buf[at + 3] = value >>> 21;
}
