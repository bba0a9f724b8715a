/** A replica that leads an epoch: takes appends, knows its followers, decides what is committed. */
import { invariant, PartitaError } from '@partita/domain';
import { commonEnd, lastEpoch, withEpoch } from './epoch-history.ts';
import { notLeader } from './follower.ts';
import { committedEnd } from './high-watermark.ts';
import type {
  AppendInput,
  AppendOutcome,
  Claim,
  FollowerAckInput,
  FollowerLostInput,
  JoinInput,
  PlannedAppend,
  ReplicaEffect,
  Stamp,
} from './messages.ts';
import { currentConfig } from './partition-state.ts';
import type { LeaderRole, PartitionState, UnansweredAppend } from './partition-state.ts';
import { leadRefusal, outcomeUnknown, persistWhenQuiet } from './promise.ts';
import { isMember } from './replica-config.ts';

/** `ledEpoch` is durable: begins the epoch with its first record, unless a higher promise was asked for meanwhile. */
export function onLeadJournaled(state: PartitionState, wallMs: number): ReplicaEffect[] {
  const { role } = state;
  invariant(role.kind === 'becoming-leader', 'only a replica that becomes leader has its lead journaled');
  const { order, replies } = role;
  state.meta = { ...state.meta, ledEpoch: order.epoch };
  if (state.grant !== undefined) {
    state.role = { kind: 'follower' };
    const outcome = leadRefusal(state);
    const refusals = replies.map((reply): ReplicaEffect => ({ kind: 'answer-lead', reply, outcome }));
    return [...refusals, ...persistWhenQuiet(state)];
  }
  const { logEnd: epochStartOffset } = state;
  const { epoch, unclean } = order;
  state.role = { kind: 'leader', epoch, epochStartOffset, leadReplies: replies, followers: new Map() };
  const planned: PlannedAppend = { stamp: nextStamp(state, epoch, wallMs), recordCount: 1, request: undefined };
  return [
    { kind: 'append-epoch-start', planned, config: currentConfig(state), unclean },
    { kind: 'changed', what: 'role' },
  ];
}

/** Plans an append or refuses it; nothing is stored yet. */
export function onAppend(state: PartitionState, role: LeaderRole, input: AppendInput): ReplicaEffect[] {
  const fault = appendFault(state, role, input);
  if (fault !== undefined) return [refused(input, fault)];
  const { batch, recordCount, wallMs } = input;
  const planned: PlannedAppend = { stamp: nextStamp(state, role.epoch, wallMs), recordCount, request: input };
  return [{ kind: 'append', batch, planned }];
}

/** The batch is in the log's queue: from here on it counts. */
export function onLogTook(state: PartitionState, planned: PlannedAppend): ReplicaEffect[] {
  const { stamp, recordCount, request } = planned;
  invariant(stamp.baseOffset === state.logEnd, `a batch at ${stamp.baseOffset} does not follow ${state.logEnd}`);
  const endOffset = stamp.baseOffset + BigInt(recordCount);
  state.logEnd = endOffset;
  state.lastAppendTimeMs = stamp.appendTimeMs;
  if (lastEpoch(state.history) !== stamp.leaderEpoch) {
    state.history = withEpoch(state.history, { epoch: stamp.leaderEpoch, startOffset: stamp.baseOffset });
  }
  if (request === undefined) return [];
  if (request.claim === undefined) state.dataEnd = endOffset;
  else state.claim = request.claim;
  state.unanswered.push({ stamp, endOffset, request, reply: request.reply });
  return [];
}

/** The log has no room or has failed; it holds nothing of the batch. Without its first record an epoch is over. */
export function onLogRefused(state: PartitionState, planned: PlannedAppend, error: PartitaError): ReplicaEffect[] {
  if (planned.request !== undefined) return [refused(planned.request, error)];
  const { role } = state;
  if (role.kind !== 'leader') return [];
  state.role = { kind: 'follower' };
  const outcome = leadRefusal(state);
  return [
    ...role.leadReplies.map((reply): ReplicaEffect => ({ kind: 'answer-lead', reply, outcome })),
    { kind: 'changed', what: 'role' },
  ];
}

/** The own log is durable further: answers whoever waited for the epoch, moves the watermark. */
export function onLeaderSynced(state: PartitionState, role: LeaderRole): ReplicaEffect[] {
  const effects: ReplicaEffect[] = [];
  if (role.leadReplies.length > 0 && state.durableEnd > role.epochStartOffset) {
    const outcome = { leading: true, promisedEpoch: role.epoch, config: currentConfig(state) };
    for (const reply of role.leadReplies) effects.push({ kind: 'answer-lead', reply, outcome });
    role.leadReplies = [];
  }
  advance(state, role, effects);
  return effects;
}

/** A follower opens its stream: tells it where the logs part. It counts for nothing until it acknowledges. */
export function onJoin(state: PartitionState, role: LeaderRole, input: JoinInput): ReplicaEffect[] {
  const { epoch, brokerId, replicaId, nonce, history, logEnd, reply } = input;
  if (epoch !== role.epoch) {
    return [{ kind: 'answer-join', reply, outcome: { joined: false, epoch: role.epoch, truncateTo: 0n } }];
  }
  role.followers.set(brokerId, { replicaId, nonce, durableEnd: 0n, fsynced: false, inSync: false });
  const truncateTo = commonEnd(state, { history, logEnd });
  return [{ kind: 'answer-join', reply, outcome: { joined: true, epoch, truncateTo } }];
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
  const isMemberNow = isMember(currentConfig(state), follower.replicaId);
  const isLevel = follower.durableEnd >= state.highWatermark && follower.durableEnd > role.epochStartOffset;
  if (isMemberNow && isLevel) follower.inSync = true;
  const effects: ReplicaEffect[] = [];
  advance(state, role, effects);
  return effects;
}

/** A follower's stream is gone: it leaves the in-sync set at once and without asking anyone. */
export function onFollowerLost(state: PartitionState, role: LeaderRole, input: FollowerLostInput): ReplicaEffect[] {
  if (role.followers.get(input.brokerId)?.nonce !== input.nonce) return [];
  role.followers.delete(input.brokerId);
  const effects: ReplicaEffect[] = [];
  advance(state, role, effects);
  return effects;
}

/** Brokers in sync, the leader's own first. */
export function inSyncIds(state: PartitionState, role: LeaderRole): number[] {
  const followers = [...role.followers].filter(([, follower]) => follower.inSync);
  return [state.self.brokerId, ...followers.map(([brokerId]) => brokerId)];
}

/** Answers OUTCOME_UNKNOWN where the sender no longer waits. The batches stay where they are. */
export function expire(state: PartitionState, nowMs: number): ReplicaEffect[] {
  const effects: ReplicaEffect[] = [];
  for (const entry of state.unanswered) {
    if (entry.reply === undefined || entry.request.deadlineMs > nowMs) continue;
    const outcome: AppendOutcome = { ok: false, error: outcomeUnknown(state) };
    effects.push({ kind: 'answer-append', reply: entry.reply, outcome });
    entry.reply = undefined;
  }
  return effects;
}

function advance(state: PartitionState, role: LeaderRole, effects: ReplicaEffect[]): void {
  const inSyncEnds = [state.durableEnd];
  for (const follower of role.followers.values()) if (follower.inSync) inSyncEnds.push(follower.durableEnd);
  const { minInSyncReplicas } = currentConfig(state);
  const { epochStartOffset } = role;
  const end = committedEnd({ inSyncEnds, minInSyncReplicas, epochStartOffset, highWatermark: state.highWatermark });
  invariant(end <= state.durableEnd, `the high watermark ${end} is above the own durable end ${state.durableEnd}`);
  const hasMoved = end > state.highWatermark;
  state.highWatermark = end;
  answerStored(state, role, effects);
  if (hasMoved) effects.push({ kind: 'changed', what: 'high-watermark' });
}

/** Answers in log order: an append is never acknowledged before one that lies in front of it. */
function answerStored(state: PartitionState, role: LeaderRole, effects: ReplicaEffect[]): void {
  let count = 0;
  for (const entry of state.unanswered) {
    const reached = entry.request.acks === 'all' ? state.highWatermark : state.durableEnd;
    if (entry.endOffset > reached) break;
    count += 1;
    if (entry.reply === undefined) continue;
    effects.push({ kind: 'answer-append', reply: entry.reply, outcome: acked(state, role, entry) });
  }
  if (count > 0) state.unanswered.splice(0, count);
}

function acked(state: PartitionState, role: LeaderRole, entry: UnansweredAppend): AppendOutcome {
  const ownFsync = currentConfig(state).flush === 'fsync';
  let replicasAcked = 1;
  let fsynced = ownFsync;
  for (const follower of role.followers.values()) {
    if (!follower.inSync || follower.durableEnd < entry.endOffset) continue;
    replicasAcked += 1;
    fsynced &&= follower.fsynced;
  }
  return { ok: true, stamp: entry.stamp, recordCount: entry.request.recordCount, replicasAcked, fsynced };
}

function appendFault(state: PartitionState, role: LeaderRole, input: AppendInput): PartitaError | undefined {
  if (state.grant !== undefined || input.leaderEpoch > role.epoch) return notLeader(state);
  const { minInSyncReplicas } = currentConfig(state);
  const inSyncCount = inSyncIds(state, role).length;
  if (inSyncCount < minInSyncReplicas) {
    const metadata = { in_sync: String(inSyncCount), required: String(minInSyncReplicas) };
    const message = `${inSyncCount} of ${minInSyncReplicas} needed replicas are in sync; nothing was stored, try again later`;
    return new PartitaError('NOT_ENOUGH_REPLICAS', message, metadata);
  }
  const { expectedNextOffset: expected } = input;
  if (expected !== undefined && expected < state.dataEnd) {
    const metadata = { expected: String(expected), actual: String(state.dataEnd) };
    const message = `records lie at or above offset ${expected}: the data ends at ${state.dataEnd}; read on, then decide anew`;
    return new PartitaError('EXPECTED_OFFSET_MISMATCH', message, metadata);
  }
  return input.claim === undefined
    ? claimFault(state, input.claimEpoch === state.claim.epoch, input.claimEpoch)
    : claimFault(state, followsClaim(state.claim, input.claim), input.claim.epoch);
}

/** A claim takes the next number, or repeats the current one for its owner (an answer that got lost). */
function followsClaim(current: Claim, next: Claim): boolean {
  if (next.epoch === current.epoch) return next.epoch > 0 && next.instanceId === current.instanceId;
  return next.epoch === current.epoch + 1;
}

function claimFault(state: PartitionState, isRight: boolean, claimEpoch: number): PartitaError | undefined {
  if (isRight) return undefined;
  const metadata = {
    shard: String(state.partition),
    claim_epoch: String(claimEpoch),
    current: String(state.claim.epoch),
  };
  const message = `the partition is written under claim ${state.claim.epoch}, not ${claimEpoch}; claim it again or find its owner`;
  return new PartitaError('FENCED_CLAIM', message, metadata);
}

function refused(input: AppendInput, error: PartitaError): ReplicaEffect {
  return { kind: 'answer-append', reply: input.reply, outcome: { ok: false, error } };
}

/** Append times never fall within a partition, whatever the wall clock does. */
function nextStamp(state: PartitionState, leaderEpoch: number, wallMs: number): Stamp {
  const now = BigInt(Math.floor(wallMs));
  const appendTimeMs = now > state.lastAppendTimeMs ? now : state.lastAppendTimeMs;
  return { baseOffset: state.logEnd, leaderEpoch, appendTimeMs };
}
