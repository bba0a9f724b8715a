/** The replicas of a seed: a wiped disk, or one that is made again, is another replica. */
import type { ReplicaConfig as KnownConfig } from '@partita/cluster';
import type { ReplicaConfig, ReplicaIdentity } from '@partita/replication';
import type { Plan } from './plan.ts';
import { ReplicaDisk } from './replica-disk.ts';

export const TOPIC_ID = 'topic';

/** What the broker has after so many wipes. */
export function identityOf(brokerId: number, partition: number, wipes: number): ReplicaIdentity {
  return {
    brokerId,
    directoryId: `dir-${brokerId}-${wipes}`,
    replicaId: `replica-${brokerId}-${partition}-${wipes}`,
  };
}

/** The disks of one partition's first replicas, each on a broker of its own. */
export function makeReplicas(plan: Plan, partition: number): ReplicaDisk[] {
  const { memberCount, minInSyncReplicas, flush } = plan;
  const replicas = Array.from({ length: memberCount }, (_, index) => identityOf(index + 1, partition, 0));
  const config: ReplicaConfig = { version: 1, replicas, learners: [], minInSyncReplicas, flush };
  return replicas.map((identity) => new ReplicaDisk(identity, config));
}

/** A replica set as coordinators know it. */
export function configOf({ version, ...config }: ReplicaConfig): KnownConfig {
  return { configVersion: version, ...config };
}
