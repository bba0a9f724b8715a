/** A replica that leads an epoch: begins it, and takes appends. */
import { invariant, PARTITION_QUEUE_BYTES_MAX, PARTITION_QUEUE_COUNT_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { appendFault, hasEnoughInSync, isFenced, notEnoughReplicas } from './append-rules.ts';
import { advance, awaitOriginal } from './commitment.ts';
import { onConfigTook, onProposeConfig } from './config-change.ts';
import { currentConfig } from './config-in-force.ts';
import { refusedChange } from './config-outcome.ts';
import { epochBefore, lastEpoch, withEpoch } from './epoch-history.ts';
import type { ProposeConfigInput } from './config-messages.ts';
import type { AppendInput, PlannedAppend, ReplicaEffect, Stamp } from './messages.ts';
import { claimedBy, noProgress } from './partition-state.ts';
import type { LeaderRole, PartitionState } from './partition-state.ts';
import { queueInPause } from './pause.ts';
import { leadRefusal, persistNext } from './promise.ts';
import { outcomeUnknown, refused } from './refusals.ts';
import { judgeSequence } from './sequence-rules.ts';
import type { OriginalPlace } from './sequence-rules.ts';

/** Beyond so many a duplicate does not wait for its original. */
const UNANSWERED_COUNT_MAX = 2 * PARTITION_QUEUE_COUNT_MAX;
const NO_BYTES = new Uint8Array(0);

/** `ledEpoch` is durable: begins the epoch with its first record, unless a higher promise was asked for meanwhile. */
export function onLeadJournaled(state: PartitionState, wallMs: number): ReplicaEffect[] {
  const { role } = state;
  // The disk failed meanwhile, and the order to lead was refused.
  if (role.kind === 'offline') return [];
  invariant(role.kind === 'becoming-leader', 'only a replica that becomes leader has its lead journaled');
  const { order, replies } = role;
  const { epoch, unclean } = order;
  state.meta = { ...state.meta, ledEpoch: epoch, suspect: state.meta.suspect && !unclean };
  if (state.grant !== undefined || state.suspectWish === true) {
    state.role = { kind: 'follower' };
    const outcome = leadRefusal(state);
    const refusals = replies.map((reply): ReplicaEffect => ({ kind: 'answer-lead', reply, outcome }));
    return [...refusals, ...persistNext(state)];
  }
  state.role = {
    kind: 'leader',
    epoch,
    epochStartOffset: state.logEnd,
    leadReplies: replies,
    followers: new Map(),
    inSyncVersion: 1,
    sinceMs: undefined,
    held: [],
    pause: undefined,
    progress: noProgress(),
  };
  const planned: PlannedAppend = {
    stamp: nextStamp(state, epoch, wallMs),
    recordCount: 1,
    unclean,
    request: undefined,
  };
  return [
    // The newest, in force or not: what outlives the log's beginning must not lack it.
    { kind: 'append-epoch-start', planned, config: state.configs[0] ?? currentConfig(state) },
    { kind: 'changed', what: 'role' },
  ];
}

/** Plans an append or refuses it; nothing is stored yet. */
export function onAppend(state: PartitionState, role: LeaderRole, input: AppendInput): ReplicaEffect[] {
  const stamp = nextStamp(state, role.epoch, input.wallMs);
  const verdict = judgeSequence(state.producers, input.producer, stamp.appendTimeMs);
  if (verdict.kind === 'duplicate' && !isFenced(state, role, input))
    return repeat(state, role, input, verdict.original);
  const fault = appendFault(state, role, input);
  if (fault !== undefined) return [refused(input, fault)];
  if (role.pause !== undefined) return queueInPause(role, input);
  // What is held in front may close the gap: the sequence of a batch is judged when its turn comes.
  if (!hasEnoughInSync(state, role) || (role.held?.length ?? 0) > 0) return hold(state, role, input);
  if (verdict.kind === 'refused') return [refused(input, verdict.error)];
  const { batch, recordCount } = input;
  return [{ kind: 'append', batch, planned: { stamp, recordCount, unclean: false, request: input } }];
}

/**
 * Answers a batch that lies in the log already, with its place, once it is as safe there as was asked. Before any other
 * refusal: the sender of a duplicate is in doubt about the original, and a definite answer would settle that wrongly.
 */
function repeat(
  state: PartitionState,
  role: LeaderRole,
  input: AppendInput,
  { baseOffset, appendTimeMs }: OriginalPlace,
): ReplicaEffect[] {
  const { reply, recordCount } = input;
  if (state.unanswered.length >= UNANSWERED_COUNT_MAX) {
    return [{ kind: 'answer-append', reply, outcome: { ok: false, error: outcomeUnknown(state) } }];
  }
  const stamp = { baseOffset, leaderEpoch: epochBefore(state.history, baseOffset + 1n), appendTimeMs };
  // Its bytes are in the log: they need not be held twice.
  const request = { ...input, batch: NO_BYTES };
  const endOffset = baseOffset + BigInt(recordCount);
  return awaitOriginal(state, role, { stamp, endOffset, request, duplicate: true, reply });
}

/** In the first moments of an epoch its followers are still on their way: an append waits for them, in order. */
function hold(state: PartitionState, role: LeaderRole, input: AppendInput): ReplicaEffect[] {
  const { held } = role;
  if (held === undefined) return [refused(input, notEnoughReplicas(state, role))];
  const bytes = held.reduce((sum, { batch }) => sum + batch.length, input.batch.length);
  if (held.length >= PARTITION_QUEUE_COUNT_MAX || bytes > PARTITION_QUEUE_BYTES_MAX) {
    return [refused(input, notEnoughReplicas(state, role))];
  }
  held.push(input);
  return [];
}

/** Plans the record of a new config, or refuses it. */
export function onPropose(state: PartitionState, role: LeaderRole, input: ProposeConfigInput): ReplicaEffect[] {
  return onProposeConfig(state, role, input, nextStamp(state, role.epoch, input.wallMs));
}

/** The batch is in the log's queue: from here on it counts. */
export function onLogTook(state: PartitionState, planned: PlannedAppend): ReplicaEffect[] {
  const { stamp, recordCount, request, change, unclean } = planned;
  invariant(stamp.baseOffset === state.logEnd, `a batch at ${stamp.baseOffset} does not follow ${state.logEnd}`);
  const endOffset = stamp.baseOffset + BigInt(recordCount);
  state.logEnd = endOffset;
  state.lastAppendTimeMs = stamp.appendTimeMs;
  if (request?.producer !== undefined) state.producers.note(request.producer, stamp.baseOffset, stamp.appendTimeMs);
  if (lastEpoch(state.history) !== stamp.leaderEpoch) {
    const start = { epoch: stamp.leaderEpoch, startOffset: stamp.baseOffset, unclean };
    state.history = withEpoch(state.history, start);
  }
  if (change !== undefined) onConfigTook(state, change, endOffset);
  if (request === undefined) return [];
  if (request.claim === undefined) state.dataEnd = endOffset;
  else claimedBy(state, request.claim);
  state.unanswered.push({ stamp, endOffset, request, duplicate: false, reply: request.reply });
  return [{ kind: 'changed', what: 'log-end' }];
}

/** The log has no room or has failed; it holds nothing of the batch. Without its first record an epoch is over. */
export function onLogRefused(state: PartitionState, planned: PlannedAppend, error: PartitaError): ReplicaEffect[] {
  if (planned.request !== undefined) return [refused(planned.request, error)];
  if (planned.change !== undefined) return [refusedChange(state, planned.change, 'storage', error.message)];
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
  return [...effects, ...advance(state, role)];
}

/** Append times never fall within a partition, whatever the wall clock does. */
function nextStamp(state: PartitionState, leaderEpoch: number, wallMs: number): Stamp {
  const now = BigInt(Math.floor(wallMs));
  const appendTimeMs = now > state.lastAppendTimeMs ? now : state.lastAppendTimeMs;
  return { baseOffset: state.logEnd, leaderEpoch, appendTimeMs };
}
