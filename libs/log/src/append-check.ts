/** What holds of every batch that a log takes; a batch that breaks it is a bug of the caller. */
import { baseOffsetAt, batchBytesAt, isBatchAt, leaderEpochAt, verifyHeaderCrc } from '@partita/batch';
import { BATCH_BYTES_MAX, invariant } from '@partita/domain';

/** One canonical batch, stamped for the partition whose header checksums have the seed, that follows what is there. */
export function checkFollows(
  batch: Uint8Array,
  seed: number,
  log: { readonly logEnd: bigint; readonly lastEpoch: number; readonly mayLeaveHole: boolean },
): void {
  invariant(isBatchAt(batch, 0) && batchBytesAt(batch, 0) === batch.length, 'what is appended is one canonical batch');
  invariant(batch.length <= BATCH_BYTES_MAX, () => `a batch has at most ${BATCH_BYTES_MAX} bytes, not ${batch.length}`);
  invariant(verifyHeaderCrc(batch, 0, seed), 'an appended batch is stamped for this partition');
  const base = baseOffsetAt(batch, 0);
  invariant(
    base === log.logEnd || (log.mayLeaveHole && base > log.logEnd),
    () => `a batch at offset ${base} is appended to a log that ends at ${log.logEnd}`,
  );
  const epoch = leaderEpochAt(batch, 0);
  invariant(epoch >= log.lastEpoch, () => `epoch ${epoch} is appended behind ${log.lastEpoch}`);
}
