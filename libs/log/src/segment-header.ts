/**
 * The first entry of a segment file: field 2 of partita.v1.RecordBatches, a SegmentHeader with every field present and in
 * order, so that it always has 111 bytes. Numbers are little-endian.
 *
 *      0  12 6D        tag of `segment`, length of the message (109)
 *      2  0D,   3-6    format_version: 1, or 2 when the offsets of the batches may leave holes
 *      7  15,   8-11   crc: CRC-32C of bytes 2 to 110 with these four as zeros
 *     12  1A 24, 14-49 cluster_id, 36 characters
 *     50  22 24, 52-87 topic_id, 36 characters
 *     88  2D,  89-92   partition
 *     93  31,  94-101  base_offset
 *    102  39, 103-110  create_time_ms
 *
 * It is written and synced before the file takes its first batch; a file that ends within it never held one. That holes
 * are a version of their own makes a release that takes them for damage refuse the file instead of judging it.
 */
import { crc32c } from '@partita/batch';
import { invariant, isUuid, PartitaError } from '@partita/domain';

/** Where the first batch of a segment file begins. */
export const SEGMENT_HEADER_BYTES = 111;

const DENSE_VERSION = 1;
const SPARSE_VERSION = 2;
const UUID_CHARS = 36;
const TAGS: readonly (readonly [number, number])[] = [
  [0, 0x12],
  [1, SEGMENT_HEADER_BYTES - 2],
  [2, 0x0d],
  [7, 0x15],
  [12, 0x1a],
  [13, UUID_CHARS],
  [50, 0x22],
  [51, UUID_CHARS],
  [88, 0x2d],
  [93, 0x31],
  [102, 0x39],
];
const VERSION_AT = 3;
const CRC_AT = 8;
const CLUSTER_ID_AT = 14;
const TOPIC_ID_AT = 52;
const PARTITION_AT = 89;
const BASE_OFFSET_AT = 94;
const CREATE_TIME_AT = 103;

/** Whose log it is. */
export interface LogIdentity {
  readonly clusterId: string;
  readonly topicId: string;
  readonly partition: number;
}

export interface SegmentHeader extends LogIdentity {
  readonly baseOffset: bigint;
  readonly createTimeMs: bigint;
  /** True when a batch may begin above the end of the one before it: a replica copied what a compaction had left. */
  readonly isSparse: boolean;
}

/** The 111 bytes of a header. */
export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  invariant(isUuid(header.clusterId) && isUuid(header.topicId), 'cluster id and topic id are lower-case UUIDs');
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  for (const [at, value] of TAGS) bytes[at] = value;
  bytes.writeUInt32LE(header.isSparse ? SPARSE_VERSION : DENSE_VERSION, VERSION_AT);
  bytes.write(header.clusterId, CLUSTER_ID_AT, 'latin1');
  bytes.write(header.topicId, TOPIC_ID_AT, 'latin1');
  bytes.writeInt32LE(header.partition, PARTITION_AT);
  bytes.writeBigInt64LE(header.baseOffset, BASE_OFFSET_AT);
  bytes.writeBigInt64LE(header.createTimeMs, CREATE_TIME_AT);
  bytes.writeUInt32LE(crc32c(bytes.subarray(2)), CRC_AT);
  return bytes;
}

/** The header at the start of `bytes`, or undefined when they are no intact one. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined;
  if (TAGS.some(([at, value]) => bytes[at] !== value)) return undefined;
  const unsigned = Buffer.from(bytes.subarray(2, SEGMENT_HEADER_BYTES));
  unsigned.fill(0, CRC_AT - 2, CRC_AT + 2);
  if (crc32c(unsigned) !== bytes.readUInt32LE(CRC_AT)) return undefined;
  const version = bytes.readUInt32LE(VERSION_AT);
  if (version !== DENSE_VERSION && version !== SPARSE_VERSION) {
    throw new PartitaError(
      'VERSION_NOT_SUPPORTED',
      `a segment file has format version ${version}, this broker reads up to ${SPARSE_VERSION}; run the release that wrote it`,
      { found: String(version), supported: String(SPARSE_VERSION) },
    );
  }
  return {
    clusterId: bytes.toString('latin1', CLUSTER_ID_AT, CLUSTER_ID_AT + UUID_CHARS),
    topicId: bytes.toString('latin1', TOPIC_ID_AT, TOPIC_ID_AT + UUID_CHARS),
    partition: bytes.readInt32LE(PARTITION_AT),
    baseOffset: bytes.readBigInt64LE(BASE_OFFSET_AT),
    createTimeMs: bytes.readBigInt64LE(CREATE_TIME_AT),
    isSparse: version === SPARSE_VERSION,
  };
}
