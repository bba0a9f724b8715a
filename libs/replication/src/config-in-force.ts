/**
 * Which replica sets hold at the moment (REPLICATION: "Changing the replica set"): the newest one that is known to be
 * committed is in force, and beside it the newest one of the log has to agree while it is not.
 */
import type { ReplicaEffect } from './messages.ts';
import type { LeaderRole, PartitionState } from './partition-state.ts';
import { belongsTo, committedBelow, isMember } from './replica-config.ts';
import type { ReplicaConfig } from './replica-config.ts';

/** The config in force: the newest known to be committed. The oldest known is, whatever else is. */
export function currentConfig({ configs, configFloor }: Readonly<PartitionState>): ReplicaConfig {
  const config = configs.find(({ version }) => version <= configFloor) ?? configs.at(-1);
  if (config === undefined) throw new RangeError('a replica knows at least one config');
  return config;
}

/** The newest config of the log, while it is not known to be committed. There is at most one such in any log. */
export function pendingConfig({ configs, configFloor }: Readonly<PartitionState>): ReplicaConfig | undefined {
  const [newest] = configs;
  return newest !== undefined && newest.version > configFloor ? newest : undefined;
}

/** All sets whose m replicas a record needs: the one in force, and the one that is to follow it. */
export function configsToMeet(state: Readonly<PartitionState>): readonly ReplicaConfig[] {
  const pending = pendingConfig(state);
  return pending === undefined ? [currentConfig(state)] : [currentConfig(state), pending];
}

/** True when acknowledgements of the replica count in some set. */
export function countsInSome(state: Readonly<PartitionState>, replicaId: string): boolean {
  return configsToMeet(state).some((config) => isMember(config, replicaId));
}

/** True when the partition has no other replica, nor is to have one. */
export function isAlone(state: Readonly<PartitionState>): boolean {
  return configsToMeet(state).every((config) => config.replicas.length === 1 && isMember(config, state.self.replicaId));
}

/** True when a committed config no longer has this replica: it neither follows nor votes nor leads any more. */
export function isRemoved(state: Readonly<PartitionState>): boolean {
  return !belongsTo(currentConfig(state), state.self.replicaId);
}

/** How many members of the set are in sync. */
export function inSyncCount(state: PartitionState, role: LeaderRole, config: ReplicaConfig): number {
  let count = isMember(config, state.self.replicaId) ? 1 : 0;
  for (const follower of role.followers.values())
    if (follower.inSync && isMember(config, follower.replicaId)) count += 1;
  return count;
}

/**
 * The watermark has passed the record of the newest config: that config is in force from here on, and the journal is told.
 * Call it after whatever moves the watermark.
 */
export function noteCommitted(state: PartitionState): ReplicaEffect[] {
  const pending = pendingConfig(state);
  if (pending === undefined || state.highWatermark < state.configEnd) return [];
  state.configFloor = pending.version;
  return [{ kind: 'changed', what: 'config' }, ...persistFloor(state)];
}

/**
 * Another replica knows that the version is committed, so what follows needs its m alone: those that left the set by it, and
 * know that, never acknowledge anything again. A leader of a higher epoch holds every committed config in its log.
 */
export function hearFloor(state: PartitionState, version: number): ReplicaEffect[] {
  const pending = pendingConfig(state);
  // Above all that the log holds: whoever says so knows of a later epoch, and of another config.
  if (pending?.version !== version) return [];
  state.configFloor = version;
  return [{ kind: 'changed', what: 'config' }, ...persistFloor(state)];
}

/**
 * The log has other configs than before. A leader appends one only when the one before it is committed, so all but the newest
 * are, whether that was heard of or not.
 */
export function noteFollowed(state: PartitionState): ReplicaEffect[] {
  const floor = committedBelow(state.configs);
  if (floor <= state.configFloor) return [];
  state.configFloor = floor;
  return [{ kind: 'changed', what: 'config' }, ...persistFloor(state)];
}

/** Persists which config is known to be committed, unless another entry is under way. */
export function persistFloor(state: PartitionState): ReplicaEffect[] {
  const { meta, configFloor } = state;
  if (state.persisting !== undefined || configFloor <= meta.configFloor) return [];
  state.persisting = 'floor';
  state.floorUnderWay = configFloor;
  return [{ kind: 'persist', meta: { ...meta, configFloor } }];
}
