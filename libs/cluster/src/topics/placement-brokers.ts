/** Which brokers may be given replicas, and what they have already. */
import type { ClusterState } from '../cluster-state.ts';
import type { PlacementBroker } from './placement.ts';

/** True for a broker that may be given replicas: one that is up and is not being emptied. */
export function mayTakeReplicas(state: ClusterState, brokerId: number): boolean {
  return state.broker(brokerId)?.facts.status === 'up' && !state.settings().drainingBrokerIds.includes(brokerId);
}

/** Brokers that may take replicas, with their loads as the state knows them. */
export function placementBrokers(state: ClusterState): PlacementBroker[] {
  const loads = new Map<number, { replicaCount: number; leaderCount: number }>();
  for (const { facts } of state.brokers()) {
    if (mayTakeReplicas(state, facts.brokerId)) loads.set(facts.brokerId, { replicaCount: 0, leaderCount: 0 });
  }
  for (const topic of state.topics()) {
    for (const { config } of topic.partitions) {
      config?.replicas.forEach(({ brokerId }, index) => {
        const load = loads.get(brokerId);
        if (load === undefined) return;
        load.replicaCount += 1;
        if (index === 0) load.leaderCount += 1;
      });
    }
  }
  return [...loads].map(([brokerId, load]) => ({ brokerId, rack: state.broker(brokerId)?.facts.rack ?? '', ...load }));
}
