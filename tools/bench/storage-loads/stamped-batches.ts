/** Batches of random records as a leader has stamped them, ready to be appended to a log that begins at offset 0. */
import { randomBytes, randomUUID } from 'node:crypto';
import { BatchBuilder, CODEC_NONE, HEADER_BYTES, headerSeed, lastOffsetAt, stampBatch } from '@partita/batch';
import { RECORD_BYTES } from '../storage/workload.ts';

/** Whose log the batches are for. */
export const CLUSTER_ID = randomUUID();
export const TOPIC_ID = randomUUID();

/** Tags and lengths of a record, and of its value and timestamp: more than a record of RECORD_BYTES needs. */
const FRAMING_BYTES = 20;

/** A batch of `batchBytes` at most and nearly, unstamped. */
export function fullBatch(batchBytes: number): Buffer {
  const builder = new BatchBuilder({ batchBytesMax: batchBytes });
  let room = batchBytes - HEADER_BYTES;
  while (room > FRAMING_BYTES) {
    const value = randomBytes(Math.min(room, RECORD_BYTES) - FRAMING_BYTES);
    const isIn = builder.tryAdd({
      value,
      headers: [],
      timestampMs: BigInt(Date.now()),
      traceparent: '',
      tracestate: '',
    });
    if (!isIn) break;
    room = batchBytes - builder.bytes;
  }
  return builder.build({ codec: CODEC_NONE });
}

/** Stamps the batch for a place in a partition's log; the offset behind it. */
export function stampAt(batch: Buffer, partition: number, baseOffset: bigint): bigint {
  const stamp = { baseOffset, leaderEpoch: 1, appendTimeMs: BigInt(Date.now()) };
  stampBatch(batch, stamp, headerSeed(TOPIC_ID, partition));
  return lastOffsetAt(batch, 0) + 1n;
}

/** Batches for partition 0, one behind the other, `totalBytes` together. */
export function stampedBatches(batchBytes: number, totalBytes: number): readonly Buffer[] {
  let offset = 0n;
  return Array.from({ length: Math.floor(totalBytes / batchBytes) }, () => {
    const batch = fullBatch(batchBytes);
    offset = stampAt(batch, 0, offset);
    return batch;
  });
}
