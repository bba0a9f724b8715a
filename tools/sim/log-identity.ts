/** The one partition that is simulated, and its batches. */
import { BatchBuilder, CODEC_NONE, headerSeed, lastOffsetAt, maxTimestampMsAt, stampBatch } from '@partita/batch';

export const CLUSTER_ID = '7b0e6d0e-3f7c-4c53-9c5e-0a4f4a1c2b3d';
export const TOPIC_ID = '0d9f7a34-95a1-4d0c-8a3f-5b1d2c3e4f50';
export const PARTITION = 3;
export const DATA = '/data';
export const DIRECTORY = `${DATA}/${TOPIC_ID}/${PARTITION}`;
const SEED = headerSeed(TOPIC_ID, PARTITION);

/** A batch as it was appended. */
export interface StoredBatch {
  readonly base: bigint;
  /** Offset behind its last record. */
  readonly next: bigint;
  readonly epoch: number;
  readonly appendTimeMs: bigint;
  readonly maxTimestampMs: bigint;
  readonly bytes: Buffer;
}

export interface BatchPlan {
  readonly base: bigint;
  readonly epoch: number;
  readonly appendTimeMs: bigint;
  readonly timestampMs: bigint;
  readonly recordCount: number;
  /** Value of each record. */
  readonly value: Uint8Array;
}

/** A batch as a leader of the partition appends it. */
export function makeBatch(plan: BatchPlan): StoredBatch {
  const { base, epoch, appendTimeMs, timestampMs, recordCount, value } = plan;
  const builder = new BatchBuilder();
  for (let index = 0; index < recordCount; index += 1) {
    builder.tryAdd({ value, headers: [], timestampMs, traceparent: '', tracestate: '' });
  }
  const bytes = builder.build({ codec: CODEC_NONE });
  stampBatch(bytes, { baseOffset: base, leaderEpoch: epoch, appendTimeMs }, SEED);
  const next = lastOffsetAt(bytes, 0) + 1n;
  return { base, next, epoch, appendTimeMs, maxTimestampMs: maxTimestampMsAt(bytes, 0), bytes };
}
