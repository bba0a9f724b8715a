/** From the bytes that a leader sends to batches that a follower may store: whole, of this partition, undamaged. */
import {
  appendTimeMsAt,
  baseOffsetAt,
  BATCH_CLAIM,
  BATCH_DATA,
  BATCH_EPOCH_START,
  batchBytesAt,
  batchTypeAt,
  isBatchAt,
  lastOffsetAt,
  leaderEpochAt,
  producerSequenceAt,
  recordsAt,
  verifyHeaderCrc,
  verifyRecordsCrc,
} from '@partita/batch';
import { PartitaError } from '@partita/domain';
import { ClaimRecord, EpochStartRecord, ReplicaConfigRecord } from '@partita/protocol';
import type { ControlContent, ReplicatedBatch } from '@partita/replication';
import { replicaConfig } from '../peer-messages.ts';

/** Throws CORRUPT_BATCH where the bytes are no batches of the partition, or not those that its leader stamped. */
export function receivedBatches(bytes: Uint8Array, seed: number): ReplicatedBatch[] {
  const batches: ReplicatedBatch[] = [];
  for (let at = 0; at < bytes.length; at += batchBytesAt(bytes, at)) {
    const isWhole = isBatchAt(bytes, at) && verifyHeaderCrc(bytes, at, seed) && verifyRecordsCrc(bytes, at);
    if (!isWhole) {
      throw new PartitaError(
        'CORRUPT_BATCH',
        `what a leader sent is no intact batch at byte ${at}; it is asked again`,
        {
          position: String(at),
        },
      );
    }
    batches.push({
      batch: bytes.subarray(at, at + batchBytesAt(bytes, at)),
      baseOffset: baseOffsetAt(bytes, at),
      endOffset: lastOffsetAt(bytes, at) + 1n,
      leaderEpoch: leaderEpochAt(bytes, at),
      appendTimeMs: appendTimeMsAt(bytes, at),
      control: controlAt(bytes, at),
      producer: producerSequenceAt(bytes, at),
    });
  }
  return batches;
}

function controlAt(bytes: Uint8Array, at: number): ControlContent | undefined {
  const type = batchTypeAt(bytes, at);
  if (type === BATCH_DATA) return undefined;
  const content = recordsAt(bytes, at);
  if (type === BATCH_CLAIM) {
    const { claimEpoch: epoch, instanceId } = ClaimRecord.decode(content);
    return { kind: 'claim', claim: { epoch, instanceId } };
  }
  if (type === BATCH_EPOCH_START) {
    const { config, unclean } = EpochStartRecord.decode(content);
    return { kind: 'epoch-start', config: replicaConfig(config), unclean };
  }
  return { kind: 'config', config: replicaConfig(ReplicaConfigRecord.decode(content)) };
}
