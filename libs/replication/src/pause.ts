/**
 * A leader that is about to be relieved (REPLICATION: "Controlled shutdown, leader move") takes no appends for a moment, so
 * that its successor draws level and leaves nobody in doubt. Nothing rests on it: the election that follows is the ordinary
 * one, and without it the pause ends by itself.
 */
import { PARTITION_QUEUE_BYTES_MAX, PARTITION_QUEUE_COUNT_MAX, PartitaError } from '@partita/domain';
import { hasEnoughInSync } from './append-rules.ts';
import type { AppendInput, PauseInput, ReplicaEffect, Reply } from './messages.ts';
import type { Follower, LeaderRole, PartitionState } from './partition-state.ts';
import { notLeader, refused } from './refusals.ts';

/** The answer that no successor is level. */
export const NOT_LEVEL = -1n;

/**
 * Begins to queue appends, and answers once the successor holds all that the log holds, every append answered. A later
 * request is not a longer pause. Refused while appends wait for replicas: they would wait twice.
 */
export function onPause(state: PartitionState, role: LeaderRole, input: PauseInput): ReplicaEffect[] {
  const { epoch, successorId, levelByMs, untilMs, reply } = input;
  const mayPause = epoch === role.epoch && state.grant === undefined && (role.held?.length ?? 0) === 0;
  if (!mayPause || !hasEnoughInSync(state, role)) return [pauseAnswer(reply, NOT_LEVEL)];
  const earlier = role.pause;
  const effects = abandon(earlier?.reply);
  role.pause = {
    successorId,
    levelByMs,
    untilMs: Math.min(untilMs, earlier?.untilMs ?? untilMs),
    reply,
    queue: earlier?.queue ?? [],
  };
  return [...effects, ...lookAtPause(state, role)];
}

/** Queues an append of a leader that pauses. */
export function queueInPause(role: LeaderRole, input: AppendInput): ReplicaEffect[] {
  const queue = role.pause?.queue ?? [];
  const bytes = queue.reduce((sum, { batch }) => sum + batch.length, input.batch.length);
  if (queue.length >= PARTITION_QUEUE_COUNT_MAX || bytes > PARTITION_QUEUE_BYTES_MAX) {
    const limit = bytes > PARTITION_QUEUE_BYTES_MAX ? PARTITION_QUEUE_BYTES_MAX : PARTITION_QUEUE_COUNT_MAX;
    const message = `the partition changes its leader, and ${queue.length} batches wait for that: try again in a moment`;
    return [refused(input, new PartitaError('QUEUE_FULL', message, { queue: 'partition', limit: String(limit) }))];
  }
  queue.push(input);
  return [];
}

/** Answers the pause when the successor is level, or ends it when that one is in sync no more. Due after each move of an end. */
export function lookAtPause(state: PartitionState, role: LeaderRole): ReplicaEffect[] {
  const { pause } = role;
  if (pause === undefined) return [];
  const successor = followerOf(role, pause.successorId);
  if (successor?.inSync !== true) return endPause(role);
  const { logEnd, durableEnd, highWatermark } = state;
  const isLevel = [durableEnd, highWatermark, successor.durableEnd].every((end) => end >= logEnd);
  const { reply } = pause;
  if (reply === undefined || !isLevel) return [];
  pause.reply = undefined;
  return [pauseAnswer(reply, logEnd)];
}

/** Nobody was elected in time: what was queued is taken in now, in order. */
export function expirePause(role: LeaderRole, nowMs: number): ReplicaEffect[] {
  const { pause } = role;
  if (pause === undefined) return [];
  const endMs = pause.reply === undefined ? pause.untilMs : Math.min(pause.levelByMs, pause.untilMs);
  if (nowMs >= endMs) return endPause(role);
  const late = pause.queue.filter(({ deadlineMs }) => deadlineMs <= nowMs);
  if (late.length === 0) return [];
  pause.queue = pause.queue.filter(({ deadlineMs }) => deadlineMs > nowMs);
  const message = 'the deadline passed while the partition changed its leader; nothing was stored';
  return late.map((input) => refused(input, new PartitaError('TIMED_OUT', message)));
}

/** The leader is relieved: whoever waits is sent to the next one at once, since nothing of it was stored. */
export function dropPause(state: PartitionState, role: LeaderRole): ReplicaEffect[] {
  const { pause } = role;
  if (pause === undefined) return [];
  role.pause = undefined;
  return [...abandon(pause.reply), ...pause.queue.map((input) => refused(input, notLeader(state)))];
}

export function pauseAnswer(reply: Reply<bigint>, logEnd = NOT_LEVEL): ReplicaEffect {
  return { kind: 'answer-pause', reply, logEnd };
}

function endPause(role: LeaderRole): ReplicaEffect[] {
  const { pause } = role;
  if (pause === undefined) return [];
  role.pause = undefined;
  const effects = abandon(pause.reply);
  if (pause.queue.length > 0) effects.push({ kind: 'again', inputs: pause.queue });
  return effects;
}

function abandon(reply: Reply<bigint> | undefined): ReplicaEffect[] {
  return reply === undefined ? [] : [pauseAnswer(reply)];
}

function followerOf(role: LeaderRole, replicaId: string): Follower | undefined {
  return [...role.followers.values()].find((follower) => follower.replicaId === replicaId);
}
