/**
 * Records of stored batches. Brokers take in batches without unpacking them, so that a producer can store one that does not
 * unpack to what its header says, a decompression bomb too. Whoever reads it is told so, and gets nothing of it.
 */
import { decodeBatch } from '@partita/batch';
import type { DecodedBatch } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { PartitionName } from './leader-calls.ts';

/** Takes the stored batch at `position` apart: CORRUPT_BATCH when that cannot be done, UNSUPPORTED_CODEC by an old reader. */
export function decodeStored(
  bytes: Uint8Array,
  position: number,
  name: PartitionName,
  baseOffset: bigint,
): DecodedBatch {
  try {
    return decodeBatch(bytes, position);
  } catch (error) {
    if (!(error instanceof PartitaError) || error.reason === 'UNSUPPORTED_CODEC') throw error;
    const { topic, topicId, partition } = name;
    const message = `the batch at offset ${baseOffset} of partition ${partition} of "${topic}" cannot be read: ${error.message}`;
    const where = { topic_id: topicId, topic, partition: String(partition), offset: String(baseOffset) };
    throw new PartitaError('CORRUPT_BATCH', message, where, { cause: error });
  }
}
