/**
 * One replica of one partition as a synchronous state machine: `step` takes an event, changes the state in place and
 * returns orders. Nothing in here waits, reads a clock or touches a disk; partition-runner.ts does.
 */
import { invariant } from '@partita/domain';
import { onLead, refuseAppend } from './follower.ts';
import {
  expire,
  onAppend,
  onFollowerAck,
  onFollowerLost,
  onJoin,
  onLeaderSynced,
  onLeadJournaled,
  onLogRefused,
  onLogTook,
} from './leader.ts';
import type { JoinInput, ReplicaEffect, ReplicaInput } from './messages.ts';
import type { PartitionState } from './partition-state.ts';
import {
  failUnanswered,
  leadRefusal,
  onGrantJournaled,
  onPromise,
  persistWhenQuiet,
  refuseWaitingGrant,
  stepDown,
} from './promise.ts';

/** Takes one event in. Throws InvariantError for a bug; the replica must not be used after that. */
export function step(state: PartitionState, input: ReplicaInput): ReplicaEffect[] {
  const { role } = state;
  switch (input.kind) {
    case 'append':
      return role.kind === 'leader' ? onAppend(state, role, input) : refuseAppend(state, input);
    case 'log-took':
      return onLogTook(state, input.planned);
    case 'log-refused':
      return onLogRefused(state, input.planned, input.error);
    case 'synced':
      return onSynced(state, input.end);
    case 'promise':
      return onPromise(state, input);
    case 'lead':
      return onLead(state, input);
    case 'journaled':
      return role.kind === 'becoming-leader' ? onLeadJournaled(state, input.wallMs) : onGrantJournaled(state);
    case 'expire':
      return expire(state, input.nowMs);
    case 'join':
      return role.kind === 'leader' ? onJoin(state, role, input) : [refuseJoin(state, input)];
    case 'follower-ack':
      return role.kind === 'leader' ? onFollowerAck(state, role, input) : [];
    case 'follower-lost':
      return role.kind === 'leader' ? onFollowerLost(state, role, input) : [];
    case 'storage-failed':
      return onStorageFailed(state);
  }
}

function onSynced(state: PartitionState, end: bigint): ReplicaEffect[] {
  invariant(end >= state.durableEnd && end <= state.logEnd, `synced ${end} is in ${state.durableEnd}..${state.logEnd}`);
  state.durableEnd = end;
  const { role } = state;
  const effects = role.kind === 'leader' ? onLeaderSynced(state, role) : [];
  return [...effects, ...persistWhenQuiet(state)];
}

function refuseJoin(state: PartitionState, input: JoinInput): ReplicaEffect {
  const outcome = { joined: false, epoch: state.meta.promisedEpoch, truncateTo: 0n };
  return { kind: 'answer-join', reply: input.reply, outcome };
}

/** What is in the log may or may not be on the disk: nobody gets an acknowledgement any more. */
function onStorageFailed(state: PartitionState): ReplicaEffect[] {
  const { role } = state;
  if (role.kind === 'offline') return [];
  const effects = role.kind === 'leader' ? stepDown(state) : failUnanswered(state);
  state.role = { kind: 'offline' };
  if (role.kind === 'becoming-leader') {
    const outcome = leadRefusal(state);
    for (const reply of role.replies) effects.push({ kind: 'answer-lead', reply, outcome });
  }
  effects.push(...refuseWaitingGrant(state), { kind: 'changed', what: 'role' });
  return effects;
}
