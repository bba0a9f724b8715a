/** DeleteRecords: moves the start of a partition's log up, durably. */
import { PartitaError } from '@partita/domain';
import type { DeleteRecordsRequest, DeleteRecordsResponse } from '@partita/protocol';
import type { PartitionRegistry } from '../partition-registry.ts';
import { notYet } from './list-offsets.ts';
import { outOfRange } from './request-checks.ts';

/** The unary call. An offset at or below the log start changes nothing. */
export async function deleteRecords(
  request: DeleteRecordsRequest,
  registry: PartitionRegistry,
): Promise<DeleteRecordsResponse> {
  const { topic, partition, beforeOffset } = request;
  if (beforeOffset < 0n) throw outOfRange('before_offset', beforeOffset, 'at least 0');
  const actor = registry.find({ topicId: '', topic, partition });
  if (actor.topic.isInternal) {
    throw new PartitaError('INTERNAL_TOPIC', `topic "${topic}" is Partita's own; its records are not deleted by hand`, {
      topic,
    });
  }
  const role = actor.leader;
  if (role === undefined) throw registry.notLeader(actor);
  const { highWatermark } = actor.state;
  if (highWatermark <= role.epochStartOffset) throw notYet(role.epochStartOffset, highWatermark);
  if (beforeOffset > highWatermark) {
    const start = String(actor.log.logStart);
    const end = String(highWatermark);
    const message = `before_offset ${beforeOffset} is above the high watermark; records exist from ${start} to ${end}`;
    throw new PartitaError('OFFSET_OUT_OF_RANGE', message, { offset: String(beforeOffset), start, end });
  }
  await actor.trim(beforeOffset);
  return { logStartOffset: actor.log.logStart };
}
