/** Where a member that reads by itself goes on when its position is not in the log any more. As the service does it. */
import { PartitaError } from '@partita/domain';
import type { ListedOffset } from './admin.ts';
import type { ConsumerOptions } from './consumer-options.ts';
import type { PartitionName } from './held-partition.ts';

/** The position itself where the log holds it after all. Throws OFFSET_LOST where the policy is `error`. */
export function positionAfterLoss(
  { topic, partition }: PartitionName,
  position: bigint,
  log: Pick<ListedOffset, 'logStartOffset' | 'highWatermark'>,
  { group, offsetLost }: Pick<ConsumerOptions, 'group' | 'offsetLost'>,
): bigint {
  const { logStartOffset, highWatermark } = log;
  if (position >= logStartOffset && position <= highWatermark) return position;
  if (offsetLost === 'earliest') return logStartOffset;
  if (offsetLost === 'latest') return highWatermark;
  throw new PartitaError(
    'OFFSET_LOST',
    `offset ${position} of group "${group}" in partition ${partition} of "${topic}" is gone, the log holds ` +
      `${logStartOffset} to ${highWatermark}; consume with offsetLost "earliest" or "latest" to go on`,
    { group, topic, partition: String(partition), committed: String(position), start: String(logStartOffset) },
  );
}
