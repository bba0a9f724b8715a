/** Which appends a leader takes. A refusal is definite: nothing was stored. */
import { PartitaError } from '@partita/domain';
import { configsToMeet, inSyncCount } from './config-in-force.ts';
import type { AppendInput, Claim } from './messages.ts';
import type { LeaderRole, PartitionState } from './partition-state.ts';
import { notLeader } from './refusals.ts';

/** True when this replica must not speak for the partition: it is giving way, or the sender knows of a later epoch. */
export function isFenced(state: PartitionState, role: LeaderRole, input: AppendInput): boolean {
  return state.grant !== undefined || input.leaderEpoch > role.epoch;
}

/** Why the append cannot be taken, however long it waits; undefined when it can. */
export function appendFault(state: PartitionState, role: LeaderRole, input: AppendInput): PartitaError | undefined {
  if (isFenced(state, role, input)) return notLeader(state);
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

/** True when as many replicas are in sync as an acknowledgement needs, of each set that has to agree. */
export function hasEnoughInSync(state: PartitionState, role: LeaderRole): boolean {
  return configsToMeet(state).every((config) => inSyncCount(state, role, config) >= config.minInSyncReplicas);
}

/** NOT_ENOUGH_REPLICAS, with the figures. */
export function notEnoughReplicas(state: PartitionState, role: LeaderRole): PartitaError {
  const shortages = configsToMeet(state).map((config) => ({
    inSync: inSyncCount(state, role, config),
    needed: config.minInSyncReplicas,
  }));
  const { inSync, needed } = shortages.reduce((worst, next) =>
    next.needed - next.inSync > worst.needed - worst.inSync ? next : worst,
  );
  const metadata = { in_sync: String(inSync), required: String(needed) };
  const message = `${inSync} of ${needed} needed replicas are in sync; nothing was stored, try again later`;
  return new PartitaError('NOT_ENOUGH_REPLICAS', message, metadata);
}

/** Brokers in sync, the leader's own first. */
export function inSyncIds(state: PartitionState, role: LeaderRole): number[] {
  const followers = [...role.followers].filter(([, follower]) => follower.inSync);
  return [state.self.brokerId, ...followers.map(([brokerId]) => brokerId)];
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
