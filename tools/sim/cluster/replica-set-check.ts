/**
 * At the end every replica set is whole: as many members as the topic asks for, each with its replica. None that once was made
 * is gone but with its disk; what never was made, or is lost, the cluster makes or replaces by itself.
 */
import type { ReplicaConfig } from '@partita/replication';
import { Violation } from '../trace.ts';
import type { OpenReplica } from './oracle.ts';
import type { World } from './world.ts';

/** A set changes by one member at a time, each copied before it counts. */
const SETTLE_MS_MAX = 60_000;
const LOOK_MS = 100;

/** Throws when a replica is gone, or when a set does not become whole in time. */
export async function checkReplicaSets(world: World): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    // At every look: one that is replaced soon was gone nevertheless.
    for (const set of ledSets(world)) checkKept(world, set);
    const broken = ledSets(world).flatMap((set) => faultOf(set) ?? []);
    if (broken.length === 0) {
      world.tally.add('virtual ms until all replica sets were whole', waitedMs);
      return;
    }
    if (waitedMs >= SETTLE_MS_MAX)
      throw new Violation(`L1: not whole within ${SETTLE_MS_MAX} ms: ${broken.join(', ')}`);
    await world.run(LOOK_MS);
  }
}

/** A partition with a leader. */
interface LedSet {
  readonly where: string;
  readonly replicationFactor: number;
  readonly config: ReplicaConfig;
  readonly replicas: readonly OpenReplica[];
}

function ledSets({ clients, oracle }: World): LedSet[] {
  return clients.topics.active().flatMap(({ name, topicId, partitionCount, replicationFactor }) =>
    Array.from({ length: partitionCount }, (_, partition) => partition).flatMap((partition) => {
      const replicas = oracle.replicasOf(topicId, partition);
      const [leader] = replicas.filter(({ role }) => role.kind === 'leader').sort((a, b) => epochOf(b) - epochOf(a));
      const config = leader?.configs[0];
      return config === undefined ? [] : [{ where: `${name}/${partition}`, replicationFactor, config, replicas }];
    }),
  );
}

function epochOf({ role }: OpenReplica): number {
  return role.kind === 'leader' ? role.epoch : 0;
}

/** I9: a member that was made can be gone with its disk only. */
function checkKept({ oracle, losses }: World, { where, config, replicas }: LedSet): void {
  const gone = config.replicas.find(
    ({ replicaId }) => oracle.wasMade(replicaId) && !losses.isLost(replicaId) && !isOpen(replicas, replicaId),
  );
  if (gone !== undefined) throw new Violation(`I9: replica of ${where} is gone from broker ${gone.brokerId}`);
}

function faultOf({ where, replicationFactor, config, replicas }: LedSet): string | undefined {
  const missing = config.replicas.find(({ replicaId }) => !isOpen(replicas, replicaId));
  if (missing !== undefined) return `${where} has no replica on broker ${missing.brokerId}`;
  if (config.replicas.length === replicationFactor) return undefined;
  return `${where} has ${config.replicas.length} replicas of ${replicationFactor}`;
}

function isOpen(replicas: readonly OpenReplica[], replicaId: string): boolean {
  return replicas.some(({ actor }) => actor.replicaId === replicaId);
}
