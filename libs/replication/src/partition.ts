/**
 * One replica of one partition as a synchronous state machine: `step` takes an event, changes the state in place and
 * returns orders. Nothing in here waits, reads a clock or touches a disk; partition-runner.ts does.
 */
import { invariant } from '@partita/domain';
import { isAlone } from './config-in-force.ts';
import { refusedChange } from './config-outcome.ts';
import { onFollow, onFollowerSynced, onLead, onLogStored, onReplicate, onStoreRefused } from './follower.ts';
import { onCutFailed, onJoinAck, onLinkOpen, onLogCut, onSnapshot, seekAgain } from './following.ts';
import { expire, onFollowerAck, onFollowerLost, onJoin, joinRefusal } from './in-sync-set.ts';
import { onAppend, onLeaderSynced, onLeadJournaled, onLogRefused, onLogTook, onPropose } from './leader.ts';
import type { ReplicaEffect, ReplicaInput } from './messages.ts';
import type { PartitionState } from './partition-state.ts';
import { onPause, pauseAnswer } from './pause.ts';
import {
  leadRefusal,
  onFloorJournaled,
  onGrantJournaled,
  onPromise,
  onSuspectJournaled,
  persistNext,
  refuseWaitingGrant,
  stepDown,
} from './promise.ts';
import { failUnanswered, notLeader, refused } from './refusals.ts';

/** Takes one event in. Throws InvariantError for a bug; the replica must not be used after that. */
export function step(state: PartitionState, input: ReplicaInput): ReplicaEffect[] {
  switch (input.kind) {
    case 'append':
    case 'propose-config':
    case 'pause':
    case 'join':
    case 'follower-ack':
    case 'follower-lost':
    case 'fenced':
      return stepAsLeader(state, input);
    case 'follow':
    case 'link-open':
    case 'link-lost':
    case 'join-ack':
    case 'join-refused':
    case 'snapshot':
    case 'replicate':
    case 'store-refused':
      return stepAsFollower(state, input);
    case 'promise':
      return onPromise(state, input);
    case 'lead':
      return onLead(state, input);
    case 'expire':
      return expire(state, input.nowMs);
    default:
      return stepOfDisk(state, input);
  }
}

type Of<Kind extends ReplicaInput['kind']> = Extract<ReplicaInput, { kind: Kind }>;

function stepAsLeader(
  state: PartitionState,
  input: Of<'append' | 'propose-config' | 'pause' | 'join' | 'follower-ack' | 'follower-lost' | 'fenced'>,
): ReplicaEffect[] {
  const { role } = state;
  if (role.kind !== 'leader') {
    if (input.kind === 'append') return [refused(input, notLeader(state))];
    if (input.kind === 'propose-config')
      return [refusedChange(state, input, 'not-leader', 'this replica does not lead the partition')];
    if (input.kind === 'pause') return [pauseAnswer(input.reply)];
    if (input.kind !== 'join') return [];
    return [{ kind: 'answer-join', reply: input.reply, outcome: joinRefusal(state) }];
  }
  switch (input.kind) {
    case 'append':
      return onAppend(state, role, input);
    case 'propose-config':
      return onPropose(state, role, input);
    case 'pause':
      return onPause(state, role, input);
    case 'join':
      return onJoin(state, role, input);
    case 'follower-ack':
      return onFollowerAck(state, role, input);
    case 'follower-lost':
      return onFollowerLost(state, role, input);
    case 'fenced':
      return input.promisedEpoch > role.epoch ? stepDown(state) : [];
  }
}

function stepAsFollower(
  state: PartitionState,
  input: Of<
    'follow' | 'link-open' | 'link-lost' | 'join-ack' | 'join-refused' | 'snapshot' | 'replicate' | 'store-refused'
  >,
): ReplicaEffect[] {
  const { following } = state;
  switch (input.kind) {
    case 'follow':
      return onFollow(state, input);
    case 'link-open':
      return onLinkOpen(state, input);
    case 'link-lost':
      return following?.leaderId === input.leaderId ? seekAgain(following) : [];
    case 'join-ack':
      return onJoinAck(state, input);
    case 'join-refused':
      return following !== undefined && following.nonce === input.nonce ? seekAgain(following) : [];
    case 'snapshot':
      return onSnapshot(state, input);
    case 'replicate':
      return onReplicate(state, input);
    case 'store-refused':
      return onStoreRefused(state);
  }
}

function stepOfDisk(
  state: PartitionState,
  input: Of<
    | 'log-took'
    | 'log-refused'
    | 'log-stored'
    | 'log-cut'
    | 'cut-failed'
    | 'synced'
    | 'trimmed'
    | 'journaled'
    | 'damaged'
    | 'storage-failed'
  >,
): ReplicaEffect[] {
  switch (input.kind) {
    case 'log-took':
      return onLogTook(state, input.planned);
    case 'log-refused':
      return onLogRefused(state, input.planned, input.error);
    case 'log-stored':
      return onLogStored(state, input.batch);
    case 'log-cut':
      return [...onLogCut(state, input.facts), ...persistNext(state)];
    case 'cut-failed':
      return [...onCutFailed(state), ...persistNext(state)];
    case 'synced':
      return onSynced(state, input.end);
    case 'trimmed':
      if (input.logStart > state.logStart) state.logStart = input.logStart;
      return [];
    case 'journaled':
      return onJournaled(state, input.wallMs);
    case 'damaged':
      return onDamaged(state);
    case 'storage-failed':
      return onStorageFailed(state);
  }
}

function onSynced(state: PartitionState, end: bigint): ReplicaEffect[] {
  invariant(end >= state.durableEnd && end <= state.logEnd, `synced ${end} is in ${state.durableEnd}..${state.logEnd}`);
  state.durableEnd = end;
  const { role } = state;
  const effects = role.kind === 'leader' ? onLeaderSynced(state, role) : onFollowerSynced(state);
  return [...effects, ...persistNext(state)];
}

function onJournaled(state: PartitionState, wallMs: number): ReplicaEffect[] {
  const { persisting } = state;
  invariant(persisting !== undefined, 'a journal entry is durable that nobody asked for');
  state.persisting = undefined;
  if (persisting === 'lead') return onLeadJournaled(state, wallMs);
  if (persisting === 'floor') return onFloorJournaled(state);
  return persisting === 'grant' ? onGrantJournaled(state) : onSuspectJournaled(state);
}

/**
 * A replica of several that finds damage in its log leads no more and counts no more until it has copied the log anew. One
 * that is alone goes on with what is intact.
 */
function onDamaged(state: PartitionState): ReplicaEffect[] {
  if (isAlone(state)) return [];
  state.suspectWish = true;
  return [...stepDown(state), ...persistNext(state)];
}

/** What is in the log may or may not be on the disk: nobody gets an acknowledgement any more. */
function onStorageFailed(state: PartitionState): ReplicaEffect[] {
  const { role } = state;
  if (role.kind === 'offline') return [];
  const effects = role.kind === 'leader' ? stepDown(state) : failUnanswered(state);
  state.role = { kind: 'offline' };
  state.following = undefined;
  if (role.kind === 'becoming-leader') {
    const outcome = leadRefusal(state);
    for (const reply of role.replies) effects.push({ kind: 'answer-lead', reply, outcome });
  }
  effects.push(...refuseWaitingGrant(state), { kind: 'changed', what: 'role' });
  return effects;
}
