/** Election quorums, written down a second time: what is checked must not be what checks. */
import type { ReplicaConfig } from '@partita/replication';
import type { Broker } from './broker.ts';
import { isIn } from './config-oracle.ts';
import type { ReplicaDisk } from './replica-disk.ts';
import type { World } from './world.ts';

/** E: meets every set of m replicas, and every other E. */
export function electionQuorumOf({ replicas, minInSyncReplicas }: ReplicaConfig): number {
  const majority = Math.ceil((replicas.length + 1) / 2);
  const meetsWrites = replicas.length + 1 - minInSyncReplicas;
  return majority > meetsWrites ? majority : meetsWrites;
}

/** Replicas that exist, on these brokers. */
export function disksOn(world: World, partition: number, brokers: readonly Broker[]): ReplicaDisk[] {
  return brokers.flatMap(({ disks }) => disks[partition] ?? []);
}

/**
 * Every set that an election among these brokers may have to satisfy: what is committed as far as their journals know, and
 * whatever newer any log holds: what lies on another broker alone may be on its way.
 */
export function setsAmong(world: World, partition: number, brokers: readonly Broker[]): ReplicaConfig[] {
  const disks = disksOn(world, partition, brokers);
  const { inForce } = world.oracle(partition).configs;
  const floor = Math.min(inForce.version, Math.max(...disks.map(({ meta }) => meta.configFloor)));
  const sets = new Set([inForce]);
  for (const disk of disksOn(world, partition, world.brokers))
    for (const config of disk.configs) if (config.version >= floor) sets.add(config);
  return [...sets];
}

/** True when each of those sets has its quorum among the brokers that may count. */
export function hasQuorum(world: World, partition: number, brokers: readonly Broker[]): boolean {
  const counting = disksOn(world, partition, brokers).filter(({ isSuspect }) => !isSuspect);
  return setsAmong(world, partition, brokers).every(
    (config) => counting.filter(({ identity }) => isIn(config.replicas, identity)).length >= electionQuorumOf(config),
  );
}

/** True when each of those sets has the m replicas that a write needs. */
export function hasEnoughToWrite(world: World, partition: number, brokers: readonly Broker[]): boolean {
  const disks = disksOn(world, partition, brokers);
  return setsAmong(world, partition, brokers).every(
    ({ replicas, minInSyncReplicas }) =>
      disks.filter(({ identity }) => isIn(replicas, identity)).length >= minInSyncReplicas,
  );
}
