/** The replica sets of a seed: who they are does not change, but for a wiped disk, which is another replica. */
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

/** The disks of one partition's replicas, one for each broker. */
export function makeReplicas(plan: Plan, partition: number): ReplicaDisk[] {
  const { brokerCount, minInSyncReplicas, flush } = plan;
  const replicas = Array.from({ length: brokerCount }, (_, index) => identityOf(index + 1, partition, 0));
  const config: ReplicaConfig = { version: 1, replicas, learners: [], minInSyncReplicas, flush };
  return replicas.map((identity) => new ReplicaDisk(identity, config));
}
