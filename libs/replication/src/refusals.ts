/** What senders of appends are told when a replica does not lead, or no longer. */
import { PartitaError } from '@partita/domain';
import type { AppendInput, ReplicaEffect } from './messages.ts';
import type { PartitionState } from './partition-state.ts';

/** Refuses an append: nothing was stored. The runner's owner adds where the leader is. */
export function notLeader(state: PartitionState): PartitaError {
  const { role, meta, topicId, partition } = state;
  if (role.kind === 'offline') {
    return new PartitaError('STORAGE_FAILED', 'the disk of this replica failed; find the new leader and resend', {
      topic_id: topicId,
      partition: String(partition),
    });
  }
  return new PartitaError('NOT_LEADER', 'this broker does not lead the partition; refresh the routes and resend', {
    topic_id: topicId,
    partition: String(partition),
    promised_epoch: String(meta.promisedEpoch),
  });
}

/** The answer to an append of which nothing was stored. */
export function refused({ reply }: AppendInput, error: PartitaError): ReplicaEffect {
  return { kind: 'answer-append', reply, outcome: { ok: false, error } };
}

/** The doubt about an append that is in the log and will not be waited for. */
export function outcomeUnknown(state: PartitionState): PartitaError {
  return new PartitaError(
    'OUTCOME_UNKNOWN',
    'the batch was appended, but it is not known whether it will be kept; resend it only with the same sequence',
    { topic_id: state.topicId, partition: String(state.partition) },
  );
}

/** Answers OUTCOME_UNKNOWN to all who wait for what the log holds. */
export function failUnanswered(state: PartitionState): ReplicaEffect[] {
  const effects: ReplicaEffect[] = [];
  for (const { reply } of state.unanswered) {
    if (reply === undefined) continue;
    effects.push({ kind: 'answer-append', reply, outcome: { ok: false, error: outcomeUnknown(state) } });
  }
  state.unanswered.length = 0;
  return effects;
}
