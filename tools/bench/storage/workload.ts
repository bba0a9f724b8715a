/** What the storage rows measure: sizes and counts that both sides share, ours and raw. */
import { SEGMENT_BYTES_MAX } from '@partita/domain';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Batches of the append and read rows, as stored, by the name they have in a row. */
export const BATCH_SIZES = { '4k': 4 * KIB, '64k': 64 * KIB, '1m': MIB } as const;
export type BatchSize = keyof typeof BATCH_SIZES;

/** One record as serialised: key and value with their tags. */
export const RECORD_BYTES = 1 * KIB;
/** Bytes appended and not yet told as synced, at most. */
export const IN_FLIGHT_BYTES = 8 * MIB;
/** What is appended to one new log, or written to one new file, before the next: below a segment, far below what makes
 * Linux throttle writers. */
export const PASS_BYTES = 128 * MIB;
/** Segments of the append and read rows: larger than a pass, so that no roll is measured. */
export const SEGMENT_BYTES = SEGMENT_BYTES_MAX;
/** Segments of the rows that measure rolls: four in each pass. */
export const ROLLED_SEGMENT_BYTES = 32 * MIB;
/** What one call of `read` asks for. */
export const SLICE_BYTES = MIB;

/** Partitions that get a batch each in one turn of the dirty-partitions rows, and the size of that batch. */
export const DIRTY_PARTITION_COUNT = 1000;
export const DIRTY_BATCH_BYTES = 4 * KIB;

/** Records of the rows that encode and decode, by the name they have in a row. */
export const CODEC_RECORD_SIZES = { '100b': 100, '1k': KIB, '10k': 10 * KIB } as const;
export type CodecRecordSize = keyof typeof CODEC_RECORD_SIZES;
/** A batch of theirs before compression. */
export const CODEC_BATCH_BYTES = 256 * KIB;

/** libuv's threads, as the broker is started with them. */
export const THREAD_POOL_SIZE = 32;
/** What ours should reach of raw, at every batch size. */
export const RATIO_TARGET = 0.7;
