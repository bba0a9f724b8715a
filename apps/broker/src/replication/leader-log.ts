/** The log of a leader as its followers see it: what was just appended from memory, the rest from the files. */
import type { PartitionLog } from '@partita/log';
import type { OutgoingBatches, SenderSource } from '@partita/replication';
import type { RecentBatches } from './recent-batches.ts';

/** `onError` is told of every failed reading before the sender is: it may be damage. */
export function leaderLog(
  log: PartitionLog,
  recent: RecentBatches,
  onError: (error: unknown) => void,
): SenderSource<Uint8Array> {
  return {
    recent: (fromOffset, maxBytes) => recent.from(fromOffset, maxBytes),
    read: async (fromOffset, maxBytes): Promise<OutgoingBatches<Uint8Array> | undefined> => {
      try {
        const { bytes, nextOffset } = await log.readToCopy(fromOffset, log.syncedEnd, maxBytes);
        return bytes.length === 0 ? undefined : { content: bytes, bytes: bytes.length, endOffset: nextOffset };
      } catch (error) {
        onError(error);
        throw error;
      }
    },
    firstSnapshot: () => log.firstSnapshot(),
  };
}
