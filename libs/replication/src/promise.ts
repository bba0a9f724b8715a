/**
 * Promises (REPLICATION: "Election"). A replica grants an epoch when it is above everything promised, or again to the very
 * attempt that has it. The grant is a barrier: no append is taken once it is asked for, what the log holds already is
 * made durable and answered first, the rest is answered OUTCOME_UNKNOWN, then the promise is persisted, then it is given.
 */
import { answerCommitted, doubtChange } from './config-outcome.ts';
import { currentConfig, isRemoved, persistFloor } from './config-in-force.ts';
import { lastEpoch } from './epoch-history.ts';
import { beginFollowing, unfollow } from './following.ts';
import type { LeadOutcome, PromiseInput, PromiseOutcome, ReplicaEffect } from './messages.ts';
import type { PartitionState } from './partition-state.ts';
import { dropPause } from './pause.ts';
import { failUnanswered, notLeader } from './refusals.ts';

/** Judges a request for a promise. */
export function onPromise(state: PartitionState, input: PromiseInput): ReplicaEffect[] {
  const { epoch, nonce, reply } = input;
  const { grant, meta } = state;
  // One that was removed tells what it knows to be committed, and never votes.
  if (isRemoved(state)) return [answer(state, reply, false)];
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
  return beginGrant(state, { epoch, nonce, replies: [reply], leaderId: undefined });
}

/** From here on nothing of a lower epoch is taken in; what this replica follows no longer hears of it. */
export function beginGrant(state: PartitionState, grant: NonNullable<PartitionState['grant']>): ReplicaEffect[] {
  state.grant = grant;
  return [...unfollow(state, grant.epoch), ...persistNext(state)];
}

/**
 * Persists what waits for it: one journal entry at a time, and a grant only once no write and no change of the log is under
 * way. Call it after whatever may end one.
 */
export function persistNext(state: PartitionState): ReplicaEffect[] {
  const { grant, meta, suspectWish } = state;
  if (state.persisting !== undefined) return [];
  if (suspectWish !== undefined && suspectWish !== meta.suspect) {
    state.persisting = 'suspect';
    return [{ kind: 'persist', meta: { ...meta, suspect: suspectWish } }];
  }
  state.suspectWish = undefined;
  if (state.configFloor > meta.configFloor) return persistFloor(state);
  if (grant === undefined || state.durableEnd < state.logEnd || state.isCutting) return [];
  state.persisting = 'grant';
  const effects = stepDown(state);
  effects.push({ kind: 'persist', meta: { ...meta, promisedEpoch: grant.epoch, grantNonce: grant.nonce } });
  return effects;
}

/** The journal knows which config is committed. */
export function onFloorJournaled(state: PartitionState): ReplicaEffect[] {
  state.meta = { ...state.meta, configFloor: state.floorUnderWay };
  return [...answerCommitted(state), { kind: 'changed', what: 'config' }, ...persistNext(state)];
}

/** The grant is durable: gives it, or follows the leader on whose word it was made. */
export function onGrantJournaled(state: PartitionState): ReplicaEffect[] {
  const { grant } = state;
  if (grant === undefined) return [];
  state.meta = { ...state.meta, promisedEpoch: grant.epoch, grantNonce: grant.nonce };
  state.grant = undefined;
  const effects = grant.replies.map((reply) => answer(state, reply, true));
  if (grant.leaderId !== undefined) effects.push(...beginFollowing(state, grant.epoch, grant.leaderId));
  return [...effects, ...persistNext(state)];
}

/** The suspicion, or its end, is durable. */
export function onSuspectJournaled(state: PartitionState): ReplicaEffect[] {
  const suspect = !state.meta.suspect;
  state.meta = { ...state.meta, suspect };
  if (state.suspectWish === suspect) state.suspectWish = undefined;
  return [{ kind: 'changed', what: 'role' }, ...persistNext(state)];
}

/** The log has failed: the writes that a grant waits for will never be durable. */
export function refuseWaitingGrant(state: PartitionState): ReplicaEffect[] {
  const { grant } = state;
  if (grant === undefined || state.persisting === 'grant') return [];
  state.grant = undefined;
  return grant.replies.map((reply) => answer(state, reply, false));
}

/** Ends leadership: nothing that is unanswered now will ever be acknowledged. */
export function stepDown(state: PartitionState): ReplicaEffect[] {
  const { role } = state;
  if (role.kind !== 'leader') return [];
  state.role = { kind: 'follower' };
  const refusal: LeadOutcome = leadRefusal(state);
  const effects: ReplicaEffect[] = role.leadReplies.map((reply) => ({ kind: 'answer-lead', reply, outcome: refusal }));
  const held = role.held ?? [];
  role.held = undefined;
  for (const { reply } of held) {
    effects.push({ kind: 'answer-append', reply, outcome: { ok: false, error: notLeader(state) } });
  }
  effects.push(...dropPause(state, role), ...failUnanswered(state), ...doubtChange(state), {
    kind: 'changed',
    what: 'role',
  });
  return effects;
}

/** The answer to an order to lead that cannot be followed. */
export function leadRefusal(state: PartitionState): LeadOutcome {
  const promisedEpoch = Math.max(state.meta.promisedEpoch, state.grant?.epoch ?? 0);
  return { leading: false, promisedEpoch, config: currentConfig(state) };
}

/** What the replica says to a request for a promise. */
export function promiseOutcome(
  state: PartitionState,
  granted: boolean,
  promisedEpoch = state.meta.promisedEpoch,
): PromiseOutcome {
  const { meta, configs, configFloor, highWatermark } = state;
  return {
    granted,
    promisedEpoch,
    lastEpoch: lastEpoch(state.history),
    logEnd: state.durableEnd,
    highWatermark,
    suspect: meta.suspect || state.suspectWish === true,
    configs,
    configFloor,
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
