/** Building canonical batches: of users' records, and of the cluster's own control messages. */
import { BATCH_BYTES_MAX, BATCH_RECORD_COUNT_MAX, invariant } from '@partita/domain';
import { BATCH_DATA, CODEC_NONE, HEADER_BYTES, writeBatchHeader } from './batch-header.ts';
import type { BatchCodec, BatchType } from './batch-header.ts';
import { compress } from './compression/codec.ts';
import { crc32c } from './crc32c.ts';
import { recordTooLarge } from './faults.ts';
import { putRecordSet, recordBytes, recordSetBytes } from './record-set.ts';
import type { RecordInput } from './record-set.ts';
import { RecordSummary } from './record-summary.ts';

const NO_PRODUCER = new Uint8Array(16);

/** How full a batch may get. */
export interface BatchBuilderLimits {
  /** Bytes of the canonical batch before compression, header included; at most BATCH_BYTES_MAX. */
  readonly batchBytesMax?: number;
  readonly recordCountMax?: number;
}

/** How a collected batch is framed. Without a producer session, leave its three fields out. */
export interface BatchFraming {
  readonly codec: BatchCodec;
  readonly producerId?: Uint8Array;
  readonly producerEpoch?: number;
  readonly firstSequence?: bigint;
}

/**
 * Collects records for one batch of one partition. It keeps the records by reference: their bytes must not change
 * until build(). Invariant: `bytes` is the exact size of the batch without compression and never passes the limit.
 */
export class BatchBuilder {
  readonly #records: RecordInput[] = [];
  readonly #sizes: number[] = [];
  readonly #batchBytesMax: number;
  readonly #recordCountMax: number;
  #summary = new RecordSummary();
  #bytes = HEADER_BYTES;

  constructor(limits: BatchBuilderLimits = {}) {
    this.#batchBytesMax = Math.min(limits.batchBytesMax ?? BATCH_BYTES_MAX, BATCH_BYTES_MAX);
    this.#recordCountMax = Math.min(limits.recordCountMax ?? BATCH_RECORD_COUNT_MAX, BATCH_RECORD_COUNT_MAX);
  }

  /** Bytes of the batch as it stands, header included, before compression. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Records collected. */
  get count(): number {
    return this.#records.length;
  }

  /**
   * Adds a record, or returns false when the batch has no room for it: build, and add it to the next. The first record
   * may pass a small batchBytesMax; RECORD_TOO_LARGE when no batch can hold it. `hash` is its key's hash, if known.
   */
  tryAdd(record: RecordInput, hash?: number): boolean {
    const size = recordBytes(record);
    const bytes = this.#bytes + recordSetBytes(size);
    if (bytes > this.#batchBytesMax) {
      if (this.count > 0) return false;
      if (bytes > BATCH_BYTES_MAX)
        throw recordTooLarge('bytes', 'a record in bytes', size, BATCH_BYTES_MAX - HEADER_BYTES);
    }
    if (this.count >= this.#recordCountMax) return false;
    this.#records.push(record);
    this.#sizes.push(size);
    this.#bytes = bytes;
    this.#summary.add(record, hash);
    return true;
  }

  /**
   * The canonical batch, ready to send: offset, epoch, append time and header_crc are left to the leader. Records that
   * compression would not shrink are stored with codec NONE, so the result is never larger than `bytes`.
   */
  build(framing: BatchFraming): Buffer {
    invariant(this.count > 0, 'a batch has at least one record');
    const plain = Buffer.allocUnsafe(this.#bytes);
    putRecordSet(plain, HEADER_BYTES, this.#records, this.#sizes);
    const set = plain.subarray(HEADER_BYTES);
    const packed = framing.codec === CODEC_NONE ? set : compress(framing.codec, set);
    if (packed.length >= set.length) return this.#frame(plain, { ...framing, codec: CODEC_NONE });
    const batch = Buffer.allocUnsafe(HEADER_BYTES + packed.length);
    batch.set(packed, HEADER_BYTES);
    return this.#frame(batch, framing);
  }

  #frame(batch: Buffer, framing: BatchFraming): Buffer {
    const summary = this.#summary;
    writeBatchHeader(batch, {
      ...UNSTAMPED,
      recordsCrc: crc32c(batch.subarray(HEADER_BYTES)),
      recordCount: summary.count,
      lastOffsetDelta: summary.count - 1,
      firstTimestampMs: summary.firstTimestampMs,
      maxTimestampMs: summary.maxTimestampMs,
      uncompressedBytes: this.#bytes - HEADER_BYTES,
      producerId: framing.producerId ?? NO_PRODUCER,
      producerEpoch: framing.producerEpoch ?? -1,
      firstSequence: framing.firstSequence ?? -1n,
      minKeyHash: summary.minKeyHash,
      maxKeyHash: summary.maxKeyHash,
      codec: framing.codec,
      type: BATCH_DATA,
      hasTombstones: summary.hasTombstones,
      recordsBytes: batch.length - HEADER_BYTES,
    });
    return batch;
  }
}

/** What the leader writes. */
const UNSTAMPED = { baseOffset: 0n, leaderEpoch: 0, appendTimeMs: 0n, headerCrc: 0 } as const;

/**
 * A control batch around one serialised control message. It takes one offset; its time is the message's, or 0 where
 * only the leader's append time counts.
 */
export function buildControlBatch(
  type: Exclude<BatchType, typeof BATCH_DATA>,
  payload: Uint8Array,
  timestampMs = 0n,
): Buffer {
  const summary = new RecordSummary();
  const batch = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  batch.set(payload, HEADER_BYTES);
  writeBatchHeader(batch, {
    ...UNSTAMPED,
    recordsCrc: crc32c(payload),
    recordCount: 1,
    lastOffsetDelta: 0,
    firstTimestampMs: timestampMs,
    maxTimestampMs: timestampMs,
    uncompressedBytes: payload.length,
    producerId: NO_PRODUCER,
    producerEpoch: -1,
    firstSequence: -1n,
    minKeyHash: summary.minKeyHash,
    maxKeyHash: summary.maxKeyHash,
    codec: CODEC_NONE,
    type,
    hasTombstones: false,
    recordsBytes: payload.length,
  });
  return batch;
}
