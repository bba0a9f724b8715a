/** Clusters for specs of balance, from plain sets: partition numbers run through all topics. */
import { ClusterState } from '../cluster-state.ts';
import { evenKeyRanges } from '../topics/key-ranges.ts';
import { registerBroker, setBrokerStatus } from '../session-commands.ts';
import type { ReplicaReport } from '../inventory.ts';

export interface UnevenCluster {
  /** Rack of broker 1, 2, …; empty = none. */
  readonly racks: readonly string[];
  /** Brokers of partition 0, 1, …, preferred leader first. */
  readonly sets: readonly (readonly number[])[];
  readonly draining?: ReadonlySet<number>;
  readonly leaderless?: ReadonlySet<number>;
  readonly down?: ReadonlySet<number>;
  /** Partitions belong to so many topics, by turns; default one. */
  readonly topics?: number;
  /** Bytes of each partition's log, repeated. */
  readonly bytes?: readonly number[];
}

export function clusterOf({ racks, sets, down, topics = 1, bytes = [0] }: UnevenCluster): ClusterState {
  const state = new ClusterState();
  const topicOf = (partition: number) => `topic ${partition % topics}`;
  for (let topic = 0; topic < topics; topic += 1) {
    const topicId = topicOf(topic);
    const definition = { topicId, name: topicId, version: 1n, ranges: evenKeyRanges(sets.length), settings: {} };
    const rest = { replicationFactor: 1, createTimeMs: 0, requestId: '' };
    state.apply({ type: 'topic_put', definition: { ...definition, ...rest }, name: topicId, life: 'active' });
  }
  racks.forEach((rack, index) => {
    const brokerId = index + 1;
    const replicas = sets.flatMap((set, partition) =>
      set.includes(brokerId) ? [report(topicOf(partition), partition, bytes[partition % bytes.length] ?? 0)] : [],
    );
    const facts = { brokerId, directoryId: `dir ${brokerId}`, incarnation: 1n, address: '', peerAddress: '', rack };
    const told = { ...facts, version: '', replicas, topics: [], tombstones: [], knownBrokerIds: [] };
    for (const record of registerBroker(state, told, 0)) state.apply(record);
    if (down?.has(brokerId) === true)
      for (const record of setBrokerStatus(state, brokerId, 'down', 0)) state.apply(record);
  });
  sets.forEach((set, partition) => {
    const replicas = set.map((brokerId) => ({ brokerId, directoryId: `dir ${brokerId}`, replicaId: `r ${brokerId}` }));
    const config = { configVersion: 1, replicas, learners: [], minInSyncReplicas: 1, flush: 'fsync' as const };
    state.apply({ type: 'config_learned', topicId: topicOf(partition), partition, config });
  });
  return state;
}

function report(topicId: string, partition: number, bytes: number): ReplicaReport {
  return {
    topicId,
    partition,
    replicaId: '',
    promisedEpoch: 1,
    lastEpoch: 1,
    logEndOffset: 0n,
    highWatermark: 0n,
    logStartOffset: 0n,
    logBytes: BigInt(bytes),
    suspect: false,
    leadingEpoch: 0,
    followingId: 0,
    config: undefined,
    configFloor: 0,
  };
}
