/** Batches as a leader has stored them, for specs. */
import { BatchBuilder, buildControlBatch, BATCH_EPOCH_START, CODEC_NONE, headerSeed, stampBatch } from '@partita/batch';
import type { BatchCodec, RecordInput } from '@partita/batch';
import { BATCH_BYTES_MAX } from '@partita/domain';
import { TOPIC_ID } from './leaders.ts';

export interface StampOptions {
  readonly baseOffset: bigint;
  readonly codec?: BatchCodec;
  readonly leaderEpoch?: number;
  readonly partition?: number;
}

const APPEND_TIME_MS = 1_700_000_000_000n;

/** A batch of records with these values. */
export function stampedBatch(values: readonly (string | RecordInput)[], options: StampOptions): Buffer {
  const builder = new BatchBuilder({ batchBytesMax: BATCH_BYTES_MAX });
  for (const value of values)
    builder.tryAdd(typeof value === 'string' ? { value: Buffer.from(value), timestampMs: 5n } : value);
  return stamped(builder.build({ codec: options.codec ?? CODEC_NONE }), options);
}

/** The batch with which a leader begins its epoch. It takes one offset. */
export function stampedEpochStart(options: StampOptions): Buffer {
  return stamped(buildControlBatch(BATCH_EPOCH_START, new Uint8Array(0)), options);
}

function stamped(batch: Buffer, { baseOffset, leaderEpoch = 3, partition = 0 }: StampOptions): Buffer {
  stampBatch(batch, { baseOffset, leaderEpoch, appendTimeMs: APPEND_TIME_MS }, headerSeed(TOPIC_ID, partition));
  return batch;
}
