/** A healthy cluster as the doctor sees it, for specs that spoil one thing of it. */
import { ClusterState, planBalance, registerBroker } from '@partita/cluster';
import type { ClusterRecord, ReplicaReport, TopicDefinition } from '@partita/cluster';
import type { ClusterSight } from '../diagnosis/finding.ts';

export const TOPIC_ID = '0198c5a0-0000-7000-8000-000000000001';
export const NOW_MS = 1_760_000_000_000;
const EVERYTHING = [1, 2, 3];

/** Changes of the sight; records are applied on top of three brokers and the topic "t" of three partitions. */
export interface Spoiled extends Partial<Omit<ClusterSight, 'state' | 'plan'>> {
  readonly records?: readonly ClusterRecord[];
  readonly racks?: readonly string[];
}

export function sightOf({ records = [], racks = [], ...more }: Spoiled = {}): ClusterSight {
  const state = new ClusterState();
  state.apply({ type: 'topic_put', definition: definition('t'), name: 't', life: 'active' });
  for (const brokerId of EVERYTHING) {
    const facts = { brokerId, directoryId: `dir ${brokerId}`, incarnation: 1n, address: '', peerAddress: '' };
    const told = { ...facts, rack: racks[brokerId - 1] ?? '', version: '1.0.0' };
    const replicas = [0, 1, 2].map((partition) => report(partition, brokerId));
    const rest = { replicas, topics: [], tombstones: [], knownBrokerIds: [] };
    for (const record of registerBroker(state, { ...told, ...rest }, NOW_MS)) state.apply(record);
    state.apply({ type: 'disk_reported', brokerId, freeBytes: 10_000n });
  }
  for (const partition of [0, 1, 2]) {
    state.apply(configLearned(partition, [1, 2, 3].map((step) => 1 + ((partition + step - 1) % 3))));
    const known = { topicId: TOPIC_ID, partition, epoch: 5, leader: 1 + partition };
    state.apply({ type: 'leader_known', ...known, inSync: EVERYTHING, inSyncVersion: 1, live: true });
  }
  for (const record of records) state.apply(record);
  const roles = more.roles ?? { drainingBrokerIds: new Set<number>(), leaderlessBrokerIds: new Set<number>() };
  return {
    state,
    roles,
    autoBalance: true,
    plan: planBalance(state, roles),
    nowMs: NOW_MS,
    storeState: 'up',
    stored: undefined,
    clockOffsetsMs: new Map(EVERYTHING.map((id) => [id, 0])),
    stalled: [],
    ...more,
  };
}

export function definition(name: string, more: Partial<TopicDefinition> = {}): TopicDefinition {
  const third = 0x5555_5555;
  const ranges = [0, 1, 2].map((index) => ({ hashMin: index * third, hashMax: index * third + third - 1 }));
  const facts = { topicId: TOPIC_ID, name, version: 1n, ranges, replicationFactor: 3, settings: {} };
  return { ...facts, createTimeMs: 0, requestId: '', ...more };
}

export function configLearned(partition: number, brokerIds: readonly number[], configVersion = 1): ClusterRecord {
  const replicas = brokerIds.map((brokerId) => ({ brokerId, directoryId: `dir ${brokerId}`, replicaId: `r ${brokerId}` }));
  const config = { configVersion, replicas, learners: [], minInSyncReplicas: 2, flush: 'fsync' as const };
  return { type: 'config_learned', topicId: TOPIC_ID, partition, config };
}

/** What a broker reports of its replica; broker `1 + partition` leads. */
export function report(partition: number, brokerId: number, more: Partial<ReplicaReport> = {}): ReplicaReport {
  return {
    topicId: TOPIC_ID,
    partition,
    replicaId: `r ${brokerId}`,
    promisedEpoch: 5,
    lastEpoch: 5,
    logEndOffset: 10n,
    highWatermark: 10n,
    logStartOffset: 0n,
    logBytes: 100n,
    suspect: false,
    leadingEpoch: brokerId === 1 + partition ? 5 : 0,
    followingId: 1 + partition,
    config: undefined,
    configFloor: 1,
    ...more,
  };
}

export function reported(brokerId: number, ...replicas: ReplicaReport[]): ClusterRecord {
  return { type: 'replicas_reported', brokerId, replicas, complete: false };
}
