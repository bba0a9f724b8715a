/** How far a leader's log is committed, and who is told so. */
import { invariant } from '@partita/domain';
import { committedEnd } from './high-watermark.ts';
import type { AppendOutcome, ReplicaEffect } from './messages.ts';
import { currentConfig } from './partition-state.ts';
import type { LeaderRole, PartitionState, UnansweredAppend } from './partition-state.ts';

/** Moves the high watermark and answers what it covers. Call it after whatever may move it. */
export function advance(state: PartitionState, role: LeaderRole): ReplicaEffect[] {
  const inSyncEnds = [state.durableEnd];
  for (const follower of role.followers.values()) if (follower.inSync) inSyncEnds.push(follower.durableEnd);
  const { minInSyncReplicas } = currentConfig(state);
  const { epochStartOffset } = role;
  const { highWatermark, durableEnd } = state;
  const end = committedEnd({ inSyncEnds, minInSyncReplicas, epochStartOffset, highWatermark });
  invariant(end <= durableEnd, `the high watermark ${end} is above the own durable end ${durableEnd}`);
  state.highWatermark = end;
  const effects = answerStored(state, role);
  if (end > highWatermark) effects.push({ kind: 'changed', what: 'high-watermark' });
  return effects;
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
