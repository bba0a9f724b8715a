/** A replica that does not lead: it learns who does, takes what that one sends, and may be told to lead itself. */
import { CONFIG_RECORD_COUNT, invariant } from '@partita/domain';
import { countsInSome, currentConfig, hearFloor, isRemoved, noteCommitted, noteFollowed } from './config-in-force.ts';
import { lastEpoch, withEpoch } from './epoch-history.ts';
import { ackOf, beginFollowing, joinWhenQuiet, seekAgain } from './following.ts';
import type { FollowInput, LeadInput, ReplicaEffect, ReplicateInput, ReplicatedBatch } from './messages.ts';
import { claimedBy } from './partition-state.ts';
import type { PartitionState } from './partition-state.ts';
import { beginGrant, leadRefusal, persistNext } from './promise.ts';
import type { ReplicaConfig } from './replica-config.ts';

/**
 * Somebody leads an epoch. One above the promise is promised first, to nobody who could lead by it. May be said again at
 * any time: a replica that has lost the stream looks for it anew, and one that has promised more tells the leader, which
 * goes on without it otherwise: a promise that elected nobody would keep the replica out for as long as the leader lives.
 */
export function onFollow(state: PartitionState, { epoch, leaderId }: FollowInput): ReplicaEffect[] {
  const { meta, role, following, self } = state;
  const isBusy = state.grant !== undefined || role.kind === 'becoming-leader' || role.kind === 'offline';
  if (isBusy || leaderId === self.brokerId) return [];
  if (epoch < meta.promisedEpoch) {
    const isLost = role.kind === 'follower' && following === undefined;
    return isLost ? [{ kind: 'send-fenced', leaderId, promisedEpoch: meta.promisedEpoch }] : [];
  }
  if (role.kind === 'leader' && epoch <= role.epoch) return [];
  if (following?.epoch === epoch) {
    return following.phase === 'seeking' ? [{ kind: 'seek', leaderId: following.leaderId, epoch }] : [];
  }
  if (epoch === meta.promisedEpoch) return beginFollowing(state, epoch, leaderId);
  return beginGrant(state, { epoch, nonce: '', replies: [], leaderId });
}

/** Takes what the leader sends, if it is from the stream that this replica has joined. */
export function onReplicate(state: PartitionState, input: ReplicateInput): ReplicaEffect[] {
  const { following } = state;
  if (following?.phase !== 'live' || following.nonce !== input.nonce || following.epoch !== input.epoch) return [];
  if (input.baseOffset !== state.logEnd) return seekAgain(following);
  const before = lastEpoch(state.history);
  invariant(input.previousEpoch === before, `epoch ${before} lies where the leader has ${input.previousEpoch}`);
  const { highWatermark, batches, inSync, logStart } = input;
  if (highWatermark > following.leaderHighWatermark) following.leaderHighWatermark = highWatermark;
  const effects: ReplicaEffect[] = batches.length > 0 ? [{ kind: 'store', batches }] : [];
  effects.push(...advanceFollower(state));
  if (inSync && state.meta.suspect && state.suspectWish === undefined) {
    state.suspectWish = false;
    effects.push(...persistNext(state));
  }
  const trimTo = logStart < state.highWatermark ? logStart : state.highWatermark;
  if (trimTo > state.logStart) effects.push({ kind: 'trim', toOffset: trimTo });
  return effects;
}

/** The log took a leader's batch: from here on it counts. */
export function onLogStored(state: PartitionState, stored: ReplicatedBatch): ReplicaEffect[] {
  const { baseOffset, endOffset, leaderEpoch, appendTimeMs, control, producer } = stored;
  invariant(baseOffset >= state.logEnd, `a batch at ${baseOffset} lies in front of the log's end ${state.logEnd}`);
  state.logEnd = endOffset;
  state.lastAppendTimeMs = appendTimeMs;
  if (lastEpoch(state.history) !== leaderEpoch) {
    const unclean = control?.kind === 'epoch-start' && control.unclean;
    state.history = withEpoch(state.history, { epoch: leaderEpoch, startOffset: baseOffset, unclean });
  }
  if (producer !== undefined) state.producers.note(producer, baseOffset, appendTimeMs);
  if (control === undefined) state.dataEnd = endOffset;
  else if (control.kind === 'claim') claimedBy(state, control.claim);
  else return takeConfig(state, control.config, endOffset);
  return [];
}

/** A newer config than any known. What its leader had before is committed, but this one need not be. */
function takeConfig(state: PartitionState, config: ReplicaConfig, endOffset: bigint): ReplicaEffect[] {
  const [newest] = state.configs;
  if (newest !== undefined && config.version <= newest.version) return [];
  state.configs = [config, ...state.configs].slice(0, CONFIG_RECORD_COUNT);
  state.configEnd = endOffset;
  return noteFollowed(state);
}

/** The log has no room: the stream is given up, whoever says `follow` again begins another. */
export function onStoreRefused({ following }: PartitionState): ReplicaEffect[] {
  return following === undefined ? [] : seekAgain(following);
}

/** The own log is durable further: tells the leader, or goes on with what waited for it. */
export function onFollowerSynced(state: PartitionState): ReplicaEffect[] {
  const { following } = state;
  if (following?.phase !== 'live') return joinWhenQuiet(state);
  return [ackOf(state, following), ...advanceFollower(state)];
}

/** The high watermark is what the leader says, as far as the own log is durable. It never falls. */
function advanceFollower(state: PartitionState): ReplicaEffect[] {
  const said = state.following?.leaderHighWatermark ?? 0n;
  const end = said < state.durableEnd ? said : state.durableEnd;
  const effects: ReplicaEffect[] = [];
  if (end > state.highWatermark) {
    state.highWatermark = end;
    effects.push({ kind: 'changed', what: 'high-watermark' });
  }
  effects.push(...noteCommitted(state));
  // Its last news is that the partition goes on without it.
  if (isRemoved(state) && state.following !== undefined) {
    state.following = undefined;
    effects.push({ kind: 'changed', what: 'followed' });
  }
  return effects;
}

/**
 * Follows an order to lead iff it is for exactly the promise that it gave, the epoch was never led, nothing acknowledged
 * may be missing (or an operator accepts that), and the log is what was reported. `ledEpoch` is durable before the epoch's
 * first record is appended.
 */
export function onLead(state: PartitionState, input: LeadInput): ReplicaEffect[] {
  const { role, meta } = state;
  const { epoch, nonce, reply, unclean } = input;
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
  state.following = undefined;
  state.role = { kind: 'becoming-leader', order: input, replies: [reply] };
  state.persisting = 'lead';
  const heard = hearFloor(state, input.configFloor);
  return [...heard, { kind: 'persist', meta: { ...meta, ledEpoch: epoch, suspect: meta.suspect && !unclean } }];
}

function mayLead(state: PartitionState, input: LeadInput): boolean {
  const { role, meta, self, suspectWish } = state;
  if (role.kind !== 'follower' || state.persisting !== undefined || state.isCutting) return false;
  const isSuspect = (meta.suspect || suspectWish === true) && !input.unclean;
  if (isSuspect || meta.ledEpoch >= input.epoch || !countsInSome(state, self.replicaId)) return false;
  const isSameLog = state.durableEnd === input.logEnd && lastEpoch(state.history) === input.lastEpoch;
  return isSameLog && state.durableEnd === state.logEnd;
}
