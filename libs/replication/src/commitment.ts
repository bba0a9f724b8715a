/** How far a leader's log is committed, and who is told so. */
import { invariant } from '@partita/domain';
import { configsToMeet, countsInSome, currentConfig, noteCommitted, pendingConfig } from './config-in-force.ts';
import { committedEnd } from './high-watermark.ts';
import type { AppendOutcome, ReplicaEffect } from './messages.ts';
import type { LeaderRole, PartitionState, UnansweredAppend } from './partition-state.ts';
import { lookAtPause } from './pause.ts';
import { stepDown } from './promise.ts';
import { isMember } from './replica-config.ts';
import type { ReplicaConfig } from './replica-config.ts';

/** Moves the high watermark and answers what it covers. Call it after whatever may move it. */
export function advance(state: PartitionState, role: LeaderRole): ReplicaEffect[] {
  const { highWatermark } = state;
  moveWatermark(state, role);
  const changed = noteCommitted(state);
  // Nothing is committed by the new set alone before the record that makes it.
  if (changed.length > 0) {
    changed.push(...leaveInSync(state, role));
    moveWatermark(state, role);
  }
  const effects = [...answerStored(state, role), ...changed];
  if (state.highWatermark > highWatermark) effects.push({ kind: 'changed', what: 'high-watermark' });
  effects.push(...lookAtPause(state, role));
  // It was elected with that change in its log: it has brought it about, and gives way.
  if (changed.length > 0 && !countsInSome(state, state.self.replicaId)) effects.push(...stepDown(state));
  return effects;
}

/** Moves the high watermark as far as every set that has to agree allows, and at most right behind a change under way. */
function moveWatermark(state: PartitionState, role: LeaderRole): void {
  const ends = configsToMeet(state).map((config) => endUnder(state, role, config));
  let end = ends.reduce((lowest, next) => (next < lowest ? next : lowest));
  const { highWatermark, configEnd, durableEnd } = state;
  if (pendingConfig(state) !== undefined && end > configEnd) end = configEnd;
  invariant(end <= durableEnd, `the high watermark ${end} is above the own durable end ${durableEnd}`);
  if (end > highWatermark) state.highWatermark = end;
}

/** How far m members of the set hold the log. */
function endUnder(state: PartitionState, role: LeaderRole, config: ReplicaConfig): bigint {
  const ownEnd = state.durableEnd;
  const inSyncEnds = isMember(config, state.self.replicaId) ? [ownEnd] : [];
  for (const follower of role.followers.values())
    if (follower.inSync && isMember(config, follower.replicaId)) inSyncEnds.push(follower.durableEnd);
  const { minInSyncReplicas } = config;
  const { epochStartOffset } = role;
  const { highWatermark } = state;
  return committedEnd({ inSyncEnds, ownEnd, minInSyncReplicas, epochStartOffset, highWatermark });
}

/** Who is no member any more leaves the in-sync set. It is sent on, so that it learns of its removal. */
function leaveInSync(state: PartitionState, role: LeaderRole): ReplicaEffect[] {
  const left = [...role.followers.values()].filter(
    ({ inSync, replicaId }) => inSync && !countsInSome(state, replicaId),
  );
  if (left.length === 0) return [];
  for (const follower of left) follower.inSync = false;
  role.inSyncVersion += 1;
  return [{ kind: 'changed', what: 'in-sync' }];
}

/** Waits until the batch that the request repeats is as safe as was asked, in log order as if it were the original. */
export function awaitOriginal(state: PartitionState, role: LeaderRole, entry: UnansweredAppend): ReplicaEffect[] {
  const { unanswered } = state;
  const after = unanswered.findLastIndex(({ endOffset }) => endOffset <= entry.endOffset);
  unanswered.splice(after + 1, 0, entry);
  return answerStored(state, role);
}

/** Answers in log order: an append is never acknowledged before one that lies in front of it. */
function answerStored(state: PartitionState, role: LeaderRole): ReplicaEffect[] {
  const effects: ReplicaEffect[] = [];
  let count = 0;
  for (const entry of state.unanswered) {
    const reached = entry.request.acks === 'all' ? state.highWatermark : state.durableEnd;
    if (entry.endOffset > reached) break;
    count += 1;
    if (entry.reply === undefined) continue;
    effects.push({ kind: 'answer-append', reply: entry.reply, outcome: acked(state, role, entry) });
  }
  if (count > 0) state.unanswered.splice(0, count);
  return effects;
}

function acked(state: PartitionState, role: LeaderRole, entry: UnansweredAppend): AppendOutcome {
  let replicasAcked = 1;
  let fsynced = currentConfig(state).flush === 'fsync';
  for (const follower of role.followers.values()) {
    if (!follower.inSync || follower.durableEnd < entry.endOffset) continue;
    replicasAcked += 1;
    fsynced &&= follower.fsynced;
  }
  const { stamp, duplicate } = entry;
  return { ok: true, stamp, recordCount: entry.request.recordCount, replicasAcked, fsynced, duplicate };
}
