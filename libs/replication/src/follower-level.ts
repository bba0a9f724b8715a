/** When a follower has caught up with its leader. */
import type { Follower, LeaderRole, PartitionState } from './partition-state.ts';

/** True when it holds everything committed and the epoch's first record, as it has acknowledged in this epoch. */
export function isLevel(state: PartitionState, role: LeaderRole, follower: Follower): boolean {
  return follower.durableEnd >= state.highWatermark && follower.durableEnd > role.epochStartOffset;
}

/** True when it also takes what it is sent. */
export function isCaughtUp(state: PartitionState, role: LeaderRole, follower: Follower): boolean {
  return follower.isLive && isLevel(state, role, follower);
}
