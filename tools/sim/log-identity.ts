/** The one partition that is simulated, and its batches. */
import {
  BATCH_DATA,
  BATCH_EPOCH_START,
  BatchBuilder,
  buildControlBatch,
  CODEC_NONE,
  headerSeed,
  lastOffsetAt,
  maxTimestampMsAt,
  stampBatch,
} from '@partita/batch';
import type { BatchType } from '@partita/batch';

export const CLUSTER_ID = '7b0e6d0e-3f7c-4c53-9c5e-0a4f4a1c2b3d';
export const TOPIC_ID = '0d9f7a34-95a1-4d0c-8a3f-5b1d2c3e4f50';
export const PARTITION = 3;
export const DATA = '/data';
export const DIRECTORY = `${DATA}/${TOPIC_ID}/${PARTITION}`;
const SEED = headerSeed(TOPIC_ID, PARTITION);

/** What a compaction looks at in a record. */
export interface StoredRecord {
  readonly key: string | undefined;
  readonly isTombstone: boolean;
}

/** A batch as it was appended. */
export interface StoredBatch {
  readonly type: BatchType;
  readonly base: bigint;
  /** Offset behind its last record. */
  readonly next: bigint;
  readonly epoch: number;
  readonly appendTimeMs: bigint;
  readonly maxTimestampMs: bigint;
  /** An EPOCH_START that says that its leader was forced. */
  readonly isUnclean: boolean;
  /** One for each offset. */
  readonly records: readonly StoredRecord[];
  readonly bytes: Buffer;
}

export interface BatchPlan {
  readonly base: bigint;
  readonly epoch: number;
  readonly appendTimeMs: bigint;
  readonly timestampMs: bigint;
  readonly recordCount: number;
  /** Value of each record that is no tombstone; content of a control batch. */
  readonly value: Uint8Array;
  /** The first records' keys; the others have none. */
  readonly records?: readonly StoredRecord[];
  /** Data where it is absent. */
  readonly type?: BatchType;
  /** Of an EPOCH_START, whose content is then made up of that alone. */
  readonly isUnclean?: boolean;
}

const PLAIN: StoredRecord = { key: undefined, isTombstone: false };

/** A batch as a leader of the partition appends it. */
export function makeBatch(plan: BatchPlan): StoredBatch {
  const { base, epoch, appendTimeMs, timestampMs, recordCount, type = BATCH_DATA, isUnclean = false } = plan;
  // Field 4 of an EpochStartRecord.
  const value = type === BATCH_EPOCH_START ? Buffer.from(isUnclean ? [0x20, 1] : []) : plan.value;
  const records = Array.from({ length: recordCount }, (_, index) => plan.records?.[index] ?? PLAIN);
  const bytes = type === BATCH_DATA ? dataBatch(plan, records) : buildControlBatch(type, value, timestampMs);
  stampBatch(bytes, { baseOffset: base, leaderEpoch: epoch, appendTimeMs }, SEED);
  const next = lastOffsetAt(bytes, 0) + 1n;
  return {
    type,
    base,
    next,
    epoch,
    appendTimeMs,
    maxTimestampMs: maxTimestampMsAt(bytes, 0),
    isUnclean,
    records,
    bytes,
  };
}

function dataBatch({ timestampMs, value }: BatchPlan, records: readonly StoredRecord[]): Buffer {
  const builder = new BatchBuilder();
  for (const { key, isTombstone } of records) {
    const content = isTombstone ? {} : { value };
    const keyed = key === undefined ? {} : { key: Buffer.from(key) };
    builder.tryAdd({ ...keyed, ...content, headers: [], timestampMs, traceparent: '', tracestate: '' });
  }
  return builder.build({ codec: CODEC_NONE });
}
