/**
 * Promises (REPLICATION: "Election"). A replica grants an epoch when it is above everything promised, or again to the very
 * attempt that has it. The grant is a barrier: no append is taken once it is asked for, what the log holds already is
 * made durable and answered first, the rest is answered OUTCOME_UNKNOWN, then the promise is persisted, then it is given.
 */
import { PartitaError } from '@partita/domain';
import { lastEpoch } from './epoch-history.ts';
import type { LeadOutcome, PromiseInput, PromiseOutcome, ReplicaEffect } from './messages.ts';
import { currentConfig } from './partition-state.ts';
import type { PartitionState } from './partition-state.ts';

/** Judges a request for a promise. */
export function onPromise(state: PartitionState, input: PromiseInput): ReplicaEffect[] {
  const { epoch, nonce, reply } = input;
  const { grant, meta } = state;
  if (grant !== undefined) {
    if (grant.epoch === epoch && grant.nonce === nonce) {
      grant.replies.push(reply);
      return [];
    }
    // Refused also when it is higher: one at a time, and the next attempt costs the coordinator a retry only.
    return [answer(state, reply, false, grant.epoch)];
  }
  if (epoch === meta.promisedEpoch && nonce === meta.grantNonce) return [answer(state, reply, true)];
  // A replica whose log cannot be written knows no durable end to report.
  if (epoch <= meta.promisedEpoch || state.role.kind === 'offline') return [answer(state, reply, false)];
  state.grant = { epoch, nonce, replies: [reply], isPersisting: false };
  return persistWhenQuiet(state);
}

/** Persists the grant once no write and no other journal entry is under way. Call it after whatever may end one. */
export function persistWhenQuiet(state: PartitionState): ReplicaEffect[] {
  const { grant, role } = state;
  if (grant === undefined || grant.isPersisting || role.kind === 'becoming-leader') return [];
  if (state.durableEnd < state.logEnd) return [];
  grant.isPersisting = true;
  const effects = stepDown(state);
  effects.push({ kind: 'persist', meta: { ...state.meta, promisedEpoch: grant.epoch, grantNonce: grant.nonce } });
  return effects;
}

/** The grant is durable: gives it. */
export function onGrantJournaled(state: PartitionState): ReplicaEffect[] {
  const { grant } = state;
  if (grant === undefined || !grant.isPersisting) return [];
  state.meta = { ...state.meta, promisedEpoch: grant.epoch, grantNonce: grant.nonce };
  state.grant = undefined;
  return grant.replies.map((reply) => answer(state, reply, true));
}

/** The log has failed: the writes that a grant waits for will never be durable. */
export function refuseWaitingGrant(state: PartitionState): ReplicaEffect[] {
  const { grant } = state;
  if (grant === undefined || grant.isPersisting) return [];
  state.grant = undefined;
  return grant.replies.map((reply) => answer(state, reply, false));
}

/** Ends leadership: nothing that is unanswered now will ever be acknowledged. */
export function stepDown(state: PartitionState): ReplicaEffect[] {
  const { role } = state;
  if (role.kind !== 'leader') return [];
  state.role = { kind: 'follower' };
  const refusal: LeadOutcome = leadRefusal(state);
  return [
    ...failUnanswered(state),
    ...role.leadReplies.map((reply): ReplicaEffect => ({ kind: 'answer-lead', reply, outcome: refusal })),
    { kind: 'changed', what: 'role' },
  ];
}

/** Answers OUTCOME_UNKNOWN to all that is in the log and not acknowledged. */
export function failUnanswered(state: PartitionState): ReplicaEffect[] {
  const effects: ReplicaEffect[] = [];
  for (const { reply } of state.unanswered) {
    if (reply === undefined) continue;
    effects.push({ kind: 'answer-append', reply, outcome: { ok: false, error: outcomeUnknown(state) } });
  }
  state.unanswered.length = 0;
  return effects;
}

/** The doubt about an append that is in the log and will not be waited for. */
export function outcomeUnknown(state: PartitionState): PartitaError {
  return new PartitaError(
    'OUTCOME_UNKNOWN',
    'the batch was appended, but it is not known whether it will be kept; resend it only with the same sequence',
    { topic_id: state.topicId, partition: String(state.partition) },
  );
}

/** The answer to an order to lead that cannot be followed. */
export function leadRefusal(state: PartitionState): LeadOutcome {
  return { leading: false, promisedEpoch: highestPromise(state), config: currentConfig(state) };
}

function highestPromise(state: PartitionState): number {
  return Math.max(state.meta.promisedEpoch, state.grant?.epoch ?? 0);
}

/** What the replica says to a request for a promise. */
export function promiseOutcome(
  state: PartitionState,
  granted: boolean,
  promisedEpoch = state.meta.promisedEpoch,
): PromiseOutcome {
  const { meta, configs, highWatermark } = state;
  return {
    granted,
    promisedEpoch,
    lastEpoch: lastEpoch(state.history),
    logEnd: state.durableEnd,
    highWatermark,
    suspect: meta.suspect,
    configs,
    configFloor: meta.configFloor,
  };
}

function answer(
  state: PartitionState,
  reply: PromiseInput['reply'],
  granted: boolean,
  promisedEpoch?: number,
): ReplicaEffect {
  return { kind: 'answer-promise', reply, outcome: promiseOutcome(state, granted, promisedEpoch) };
}
