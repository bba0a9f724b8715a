/** What a producer and a send may be told. */
import { BATCH_BYTES_MAX, isProducerId, PARTITION_COUNT_MAX, PRODUCE_FRAME_BYTES_MAX } from '@partita/domain';
import { CompressionCodec } from '@partita/protocol';
import { refused } from '../client-error.ts';

export interface ProducerOptions {
  /**
   * How records go. `batches` (default): the SDK batches them under a producer session and sends them through a gateway; what
   * is in doubt is sent again, and stored exactly once, in order. `direct`: the same, straight to the partitions' leaders.
   * `records`: plain records, which the gateway batches with those of other clients; doubt is handed to the caller. For
   * many clients that send little, and for those that live shortly.
   */
  readonly delivery?: 'batches' | 'direct' | 'records' | undefined;
  /** What must be durable before a record counts as sent: every in-sync replica (default), or the leader. */
  readonly acks?: 'all' | 'leader' | undefined;
  /** How batches are compressed: by the SDK, with `records` by the gateway. Default none. */
  readonly codec?: 'none' | 'zstd' | 'lz4' | 'gzip' | undefined;
  /** Waits this long for more records before a batch goes, when nothing of its partition is under way. Default 0. */
  readonly lingerMs?: number | undefined;
  /** A batch is closed at this size before compression, 1 KiB to 2 MiB. Default 1 MiB. Not with `records`. */
  readonly batchBytesMax?: number | undefined;
  /** From `send` to its result, retries included. Default 120 s. */
  readonly deliveryTimeoutMs?: number | undefined;
  /** Bytes held, waiting or on their way; `send` waits beyond. Default 64 MiB. */
  readonly bufferBytesMax?: number | undefined;
}

export interface SendOptions {
  /** Partition for all records of the call. Default: by key; records without one stick to a partition per batch. */
  readonly partition?: number | undefined;
  /** Gives up: CANCELLED when nothing was sent, else OUTCOME_UNKNOWN. */
  readonly signal?: AbortSignal | undefined;
  /**
   * A UUIDv7, lower case: the same call again, by any process and through any gateway, stores nothing twice while the leader
   * remembers the id (10 minutes); the id's own time must be within 5 minutes of the leader's. All records go to one
   * partition, in a batch of their own, in no order with other calls.
   */
  readonly requestId?: string | undefined;
  /** Appends only if no data record lies at or above this offset (EXPECTED_OFFSET_MISMATCH). Needs `partition`. */
  readonly expectedNextOffset?: bigint | undefined;
  /** All records in one batch, all or nothing; they go to one partition. */
  readonly atomic?: boolean | undefined;
}

export const CODECS = {
  none: CompressionCodec.COMPRESSION_CODEC_NONE,
  zstd: CompressionCodec.COMPRESSION_CODEC_ZSTD,
  lz4: CompressionCodec.COMPRESSION_CODEC_LZ4,
  gzip: CompressionCodec.COMPRESSION_CODEC_GZIP,
} as const;

const BATCH_BYTES_MIN = 1024;

/** The size at which batches are closed. INVALID_REQUEST when it is out of range. */
export function batchBytesOf({ batchBytesMax = PRODUCE_FRAME_BYTES_MAX }: ProducerOptions): number {
  if (batchBytesMax >= BATCH_BYTES_MIN && batchBytesMax <= BATCH_BYTES_MAX) return batchBytesMax;
  const range = `${BATCH_BYTES_MIN}..${BATCH_BYTES_MAX}`;
  const metadata = { field: 'batchBytesMax', value: String(batchBytesMax), range };
  throw refused('INVALID_REQUEST', `batchBytesMax is ${range} bytes, not ${batchBytesMax}`, metadata);
}

/** Refuses options that can never be served, before anything is queued. */
export function checkSendOptions(topic: string, { partition, requestId, expectedNextOffset }: SendOptions): void {
  if (partition !== undefined && !(Number.isInteger(partition) && partition >= 0 && partition < PARTITION_COUNT_MAX)) {
    const metadata = { topic, partition: String(partition) };
    throw refused('PARTITION_NOT_FOUND', `${partition} is no partition: they are numbered from 0`, metadata);
  }
  if (requestId !== undefined && requestIdBytes(requestId) === undefined) {
    const metadata = { field: 'requestId', value: requestId, range: 'a UUID of version 7, lower case' };
    throw refused('INVALID_REQUEST', `requestId "${requestId}" is no UUID of version 7 in lower case`, metadata);
  }
  if (expectedNextOffset !== undefined && (partition === undefined || expectedNextOffset < 0n)) {
    const metadata = { field: 'expectedNextOffset', value: String(expectedNextOffset), range: '>= 0, with partition' };
    throw refused('INVALID_REQUEST', 'expectedNextOffset is at least 0 and needs `partition`', metadata);
  }
}

/** Records that share no batch with other calls, nor are split. */
export function isOneBatch({ atomic, requestId, expectedNextOffset }: SendOptions): boolean {
  return atomic === true || requestId !== undefined || expectedNextOffset !== undefined;
}

/** The 16 bytes of a request id; undefined when it is none. */
export function requestIdBytes(requestId: string): Uint8Array | undefined {
  const hex = requestId.replaceAll('-', '');
  const isPlain = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(requestId);
  return isPlain && isProducerId(hex) ? Buffer.from(hex, 'hex') : undefined;
}
