/**
 * The followers of a leader: which of them are in sync. The set is the leader's own, for this epoch (REPLICATION: "ISR, HW,
 * ack"): who falls behind or is lost leaves it at once, and safety does not rest on it.
 */
import { invariant, LEADER_STALL_MS_MAX, NEW_EPOCH_WAIT_MS_MAX, REPLICA_LAG_MS_MAX } from '@partita/domain';
import { hasEnoughInSync, notEnoughReplicas } from './append-rules.ts';
import { advance } from './commitment.ts';
import { configsToMeet, countsInSome, hearFloor, isAlone } from './config-in-force.ts';
import { doubtChange } from './config-outcome.ts';
import { commonEnd, lastEpoch } from './epoch-history.ts';
import { isLevel } from './follower-level.ts';
import type {
  AppendOutcome,
  FollowerAckInput,
  FollowerLostInput,
  JoinInput,
  JoinOutcome,
  ReplicaEffect,
} from './messages.ts';
import { noProgress } from './partition-state.ts';
import type { Follower, LeaderRole, PartitionState, Progress } from './partition-state.ts';
import { expirePause } from './pause.ts';
import { stepDown } from './promise.ts';
import { outcomeUnknown, refused } from './refusals.ts';
import { belongsTo } from './replica-config.ts';

/** A follower opens its stream: tells it where the logs part. It counts for nothing until it acknowledges. */
export function onJoin(state: PartitionState, role: LeaderRole, input: JoinInput): ReplicaEffect[] {
  const { epoch, brokerId, replicaId, nonce, history, logEnd, reply, configFloor } = input;
  const heard = epoch === role.epoch ? hearFloor(state, configFloor) : [];
  const isKnown = configsToMeet(state).some((config) => belongsTo(config, replicaId));
  if (epoch !== role.epoch || state.grant !== undefined || !isKnown) {
    const refusal: ReplicaEffect = { kind: 'answer-join', reply, outcome: joinRefusal(state) };
    return heard.length === 0 ? [refusal] : [...heard, refusal, ...advance(state, role)];
  }
  const effects = [...heard, ...dropFollower(role, brokerId)];
  role.followers.set(brokerId, {
    replicaId,
    nonce,
    durableEnd: 0n,
    fsynced: false,
    inSync: false,
    isLive: false,
    progress: noProgress(),
  });
  const truncateTo = commonEnd(state, { history, logEnd });
  const known = lastEpoch(history);
  const outcome: JoinOutcome = {
    joined: true,
    epoch,
    truncateTo,
    fromSnapshot: truncateTo < state.logStart,
    unclean: state.history.filter((start) => start.unclean && start.epoch > known),
  };
  return [...effects, { kind: 'answer-join', reply, outcome }, ...advance(state, role)];
}

/** The answer to a join that is for another epoch, or for a replica that does not lead. */
export function joinRefusal({ meta }: PartitionState): JoinOutcome {
  return { joined: false, epoch: meta.promisedEpoch, truncateTo: 0n, fromSnapshot: false, unclean: [] };
}

/** A follower has stored more. It joins the in-sync set when it holds all that is committed and the epoch's start. */
export function onFollowerAck(state: PartitionState, role: LeaderRole, input: FollowerAckInput): ReplicaEffect[] {
  const follower = role.followers.get(input.brokerId);
  if (input.epoch !== role.epoch || follower?.nonce !== input.nonce) return [];
  invariant(
    input.durableEnd <= state.logEnd,
    `a follower holds ${input.durableEnd} of a log that ends at ${state.logEnd}`,
  );
  if (input.durableEnd > follower.durableEnd) follower.durableEnd = input.durableEnd;
  follower.fsynced = input.fsynced;
  follower.isLive = true;
  const joins = !follower.inSync && isLevel(state, role, follower) && countsInSome(state, follower.replicaId);
  if (!joins) return follower.inSync ? advance(state, role) : [];
  follower.inSync = true;
  return [inSyncChanged(role), ...advance(state, role), ...releaseHeld(state, role)];
}

/** A follower's stream is gone: it leaves the in-sync set at once and without asking anyone. */
export function onFollowerLost(state: PartitionState, role: LeaderRole, input: FollowerLostInput): ReplicaEffect[] {
  if (role.followers.get(input.brokerId)?.nonce !== input.nonce) return [];
  return [...dropFollower(role, input.brokerId), ...advance(state, role)];
}

function dropFollower(role: LeaderRole, brokerId: number): ReplicaEffect[] {
  const follower = role.followers.get(brokerId);
  role.followers.delete(brokerId);
  return follower?.inSync === true ? [inSyncChanged(role)] : [];
}

function inSyncChanged(role: LeaderRole): ReplicaEffect {
  role.inSyncVersion += 1;
  return { kind: 'changed', what: 'in-sync' };
}

/** Enough replicas are in sync: what waited for that is taken, before anything newer. */
function releaseHeld(state: PartitionState, role: LeaderRole): ReplicaEffect[] {
  const { held } = role;
  if (held === undefined || held.length === 0 || !hasEnoughInSync(state, role)) return [];
  role.held = [];
  return [{ kind: 'again', inputs: held }];
}

/**
 * Looks at the clock: answers OUTCOME_UNKNOWN where the sender no longer waits (the batches stay where they are), refuses
 * what waited for replicas in vain, drops followers that make no progress, and resigns when the own disk makes none.
 */
export function expire(state: PartitionState, nowMs: number): ReplicaEffect[] {
  const effects: ReplicaEffect[] = [];
  for (const entry of state.unanswered) {
    if (entry.reply === undefined || entry.request.deadlineMs > nowMs) continue;
    const outcome: AppendOutcome = { ok: false, error: outcomeUnknown(state) };
    effects.push({ kind: 'answer-append', reply: entry.reply, outcome });
    entry.reply = undefined;
  }
  if (state.change !== undefined && state.change.deadlineMs <= nowMs) effects.push(...doubtChange(state));
  const { role } = state;
  if (role.kind !== 'leader') return effects;
  const stalledMs = stallOf(role.progress, state.durableEnd, state.logEnd, nowMs);
  if (stalledMs > LEADER_STALL_MS_MAX && !isAlone(state)) return [...effects, ...stepDown(state)];
  const late = [...expirePause(role, nowMs), ...expireHeld(state, role, nowMs)];
  return [...effects, ...late, ...expireFollowers(state, role, nowMs)];
}

function expireHeld(state: PartitionState, role: LeaderRole, nowMs: number): ReplicaEffect[] {
  const { held } = role;
  if (held === undefined) return [];
  role.sinceMs ??= nowMs;
  const isOver = nowMs - role.sinceMs >= NEW_EPOCH_WAIT_MS_MAX;
  const late = held.filter(({ deadlineMs }) => isOver || deadlineMs <= nowMs);
  role.held = isOver ? undefined : held.filter(({ deadlineMs }) => deadlineMs > nowMs);
  return late.map((input) => refused(input, notEnoughReplicas(state, role)));
}

function expireFollowers(state: PartitionState, role: LeaderRole, nowMs: number): ReplicaEffect[] {
  const lagging = [...role.followers.values()].filter(
    (follower: Follower) =>
      stallOf(follower.progress, follower.durableEnd, state.logEnd, nowMs) > REPLICA_LAG_MS_MAX && follower.inSync,
  );
  if (lagging.length === 0) return [];
  for (const follower of lagging) follower.inSync = false;
  return [inSyncChanged(role), ...advance(state, role)];
}

/** For how long an end has had somewhere to go and has not moved, milliseconds. */
function stallOf(progress: Progress, end: bigint, goal: bigint, nowMs: number): number {
  if (progress.atMs === undefined || end !== progress.seenEnd || end >= goal) {
    progress.seenEnd = end;
    progress.atMs = nowMs;
  }
  return nowMs - progress.atMs;
}
