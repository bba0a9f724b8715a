/** A replica that does not lead: it refuses appends and may be told to lead the epoch that it has promised. */
import { PartitaError } from '@partita/domain';
import { lastEpoch } from './epoch-history.ts';
import type { AppendInput, LeadInput, ReplicaEffect } from './messages.ts';
import type { PartitionState } from './partition-state.ts';
import { isMember } from './replica-config.ts';
import { leadRefusal } from './promise.ts';
import { currentConfig } from './partition-state.ts';

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

/** An append that reached a replica which does not lead. */
export function refuseAppend(state: PartitionState, input: AppendInput): ReplicaEffect[] {
  return [{ kind: 'answer-append', reply: input.reply, outcome: { ok: false, error: notLeader(state) } }];
}

/**
 * Follows an order to lead iff it is for exactly the promise that it gave, the epoch was never led, nothing acknowledged
 * may be missing, and the log is what was reported. `ledEpoch` is durable before the epoch's first record is appended.
 */
export function onLead(state: PartitionState, input: LeadInput): ReplicaEffect[] {
  const { role, meta } = state;
  const { epoch, nonce, reply } = input;
  const isPromised = state.grant === undefined && meta.promisedEpoch === epoch && meta.grantNonce === nonce;
  if (isPromised && role.kind === 'becoming-leader') {
    role.replies.push(reply);
    return [];
  }
  if (isPromised && role.kind === 'leader') {
    if (state.durableEnd > role.epochStartOffset) {
      const outcome = { leading: true, promisedEpoch: epoch, config: currentConfig(state) };
      return [{ kind: 'answer-lead', reply, outcome }];
    }
    role.leadReplies.push(reply);
    return [];
  }
  if (!isPromised || !mayLead(state, input)) return [{ kind: 'answer-lead', reply, outcome: leadRefusal(state) }];
  state.role = { kind: 'becoming-leader', order: input, replies: [reply] };
  return [{ kind: 'persist', meta: { ...meta, ledEpoch: epoch } }];
}

function mayLead(state: PartitionState, input: LeadInput): boolean {
  const { role, meta, self } = state;
  if (role.kind !== 'follower' || meta.ledEpoch >= input.epoch || meta.suspect) return false;
  if (!isMember(currentConfig(state), self.replicaId)) return false;
  const isSameLog = state.durableEnd === input.logEnd && lastEpoch(state.history) === input.lastEpoch;
  return isSameLog && state.durableEnd === state.logEnd;
}
