/**
 * Changes of the replica set while the partition serves (REPLICATION: "Changing the replica set"): one at a time, one member
 * at a time. The record is appended here; it takes effect when m replicas of the old and m of the new set hold it.
 */
import { CONFIG_RECORD_COUNT } from '@partita/domain';
import { currentConfig, inSyncCount, pendingConfig } from './config-in-force.ts';
import { isCaughtUp } from './follower-level.ts';
import { refusedChange } from './config-outcome.ts';
import type { ConfigRefusal, ProposeConfigInput } from './config-messages.ts';
import type { PlannedAppend, ReplicaEffect, Stamp } from './messages.ts';
import type { LeaderRole, PartitionState } from './partition-state.ts';
import { configFault, isMember } from './replica-config.ts';
import type { ReplicaConfig, ReplicaIdentity } from './replica-config.ts';

/** Why a config cannot be appended; nothing was stored. */
interface Refusal {
  readonly refusal: ConfigRefusal;
  readonly why: string;
}

/** Plans the record of a new config, or refuses it. */
export function onProposeConfig(
  state: PartitionState,
  role: LeaderRole,
  input: ProposeConfigInput,
  stamp: Stamp,
): ReplicaEffect[] {
  const fault = changeFault(state, role, input);
  if (fault !== undefined) return [refusedChange(state, input, fault.refusal, fault.why)];
  const planned: PlannedAppend = { stamp, recordCount: 1, unclean: false, request: undefined, change: input };
  return [{ kind: 'append-config', planned, config: input.config }];
}

/** The record lies in the log: from here on both sets have to agree. */
export function onConfigTook(
  state: PartitionState,
  { config, reply, deadlineMs }: ProposeConfigInput,
  end: bigint,
): void {
  state.configs = [config, ...state.configs].slice(0, CONFIG_RECORD_COUNT);
  state.configEnd = end;
  state.change = { version: config.version, endOffset: end, deadlineMs, reply };
}

function changeFault(state: PartitionState, role: LeaderRole, input: ProposeConfigInput): Refusal | undefined {
  const { config, leaderEpoch } = input;
  if (state.grant !== undefined || (leaderEpoch !== 0 && leaderEpoch !== role.epoch))
    return { refusal: 'not-leader', why: `this replica does not lead epoch ${leaderEpoch}` };
  if (role.pause !== undefined) return { refusal: 'not-leader', why: 'this replica is about to be relieved' };
  if (state.highWatermark <= role.epochStartOffset)
    return { refusal: 'epoch-not-committed', why: 'the first record of the epoch is not committed yet' };
  if (pendingConfig(state) !== undefined)
    return { refusal: 'change-under-way', why: `config ${state.configs[0]?.version} is not committed yet` };
  const current = currentConfig(state);
  const nextVersion = 1 + Math.max(current.version, state.configFloor);
  if (input.expectedVersion !== current.version || config.version !== nextVersion)
    return { refusal: 'stale-version', why: `config ${current.version} is in force` };
  const fault = configFault(config);
  if (fault !== undefined) return { refusal: 'unsound', why: fault };
  return stepFault(state, current, config) ?? memberFault(state, role, current, config);
}

/** Why the new set is more than one step away from the current one. */
function stepFault({ self }: PartitionState, current: ReplicaConfig, next: ReplicaConfig): Refusal | undefined {
  if (next.flush !== current.flush)
    return { refusal: 'flush-changed', why: 'what makes bytes durable cannot be changed here' };
  if (!isMember(next, self.replicaId))
    return { refusal: 'leader-removed', why: 'the leader cannot be removed: move it first' };
  const added = next.replicas.filter(({ replicaId }) => !isMember(current, replicaId));
  const removed = current.replicas.filter(({ replicaId }) => !isMember(next, replicaId));
  if (added.length + removed.length > 1)
    return { refusal: 'too-many-members', why: `${added.length} members added and ${removed.length} removed at once` };
  const known = [...current.replicas, ...current.learners];
  const other = [...next.replicas, ...next.learners].find((replica) => known.some((old) => isForged(old, replica)));
  if (other !== undefined) return { refusal: 'unsound', why: `replica ${other.replicaId} is on another broker` };
  return undefined;
}

/** Why a member that is added cannot count yet, or the set could commit nothing. */
function memberFault(
  state: PartitionState,
  role: LeaderRole,
  current: ReplicaConfig,
  next: ReplicaConfig,
): Refusal | undefined {
  const [added] = next.replicas.filter(({ replicaId }) => !isMember(current, replicaId));
  if (added !== undefined && !current.learners.some(({ replicaId }) => replicaId === added.replicaId))
    return { refusal: 'not-a-learner', why: `replica ${added.replicaId} has to be a learner first` };
  const follower = added === undefined ? undefined : role.followers.get(added.brokerId);
  const isLevel =
    follower?.replicaId === added?.replicaId && follower !== undefined && isCaughtUp(state, role, follower);
  if (added !== undefined && !isLevel)
    return { refusal: 'not-caught-up', why: `learner ${added.replicaId} has not caught up` };
  const inSync = inSyncCount(state, role, next) + (added === undefined ? 0 : 1);
  const needed = next.minInSyncReplicas;
  if (inSync < needed) return { refusal: 'not-enough-in-sync', why: `${inSync} of ${needed} members are in sync` };
  return undefined;
}

/** True when the id of a known replica is given to another place. */
function isForged(old: ReplicaIdentity, replica: ReplicaIdentity): boolean {
  const isSame = old.brokerId === replica.brokerId && old.directoryId === replica.directoryId;
  return old.replicaId === replica.replicaId && !isSame;
}
