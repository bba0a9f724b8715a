/** Commands of sessions: brokers and instances come, report and go; leaders are elected. */
import { PartitaError } from '@partita/domain';
import type { ClusterState } from './cluster-state.ts';
import type { BrokerRegistration, ReplicaConfig, ReplicaReport } from './inventory.ts';
import { leaderHeard, mergeReport } from './rebuild.ts';
import type { BrokerStatus, ClusterRecord } from './records.ts';

/** INVALID_REQUEST when the id belongs to another broker that is live. */
export function checkBrokerId(
  state: ClusterState,
  registration: Pick<BrokerRegistration, 'brokerId' | 'directoryId' | 'incarnation'>,
): void {
  const known = state.broker(registration.brokerId)?.facts;
  if (known === undefined || known.status === 'down') return;
  // The directory's lock lets one process at a time own it: a later start proves that the earlier one is dead.
  if (known.directoryId === registration.directoryId && known.incarnation <= registration.incarnation) return;
  throw new PartitaError(
    'INVALID_REQUEST',
    `broker id ${registration.brokerId} is in use by the live broker at ${known.address}: give this broker another id, or stop that one`,
    { broker_id: String(registration.brokerId), address: known.address },
  );
}

/** The broker as it introduced itself, with all that it holds. Merge its inventory (rebuild.ts) after these. */
export function registerBroker(state: ClusterState, registration: BrokerRegistration, nowMs: number): ClusterRecord[] {
  const { replicas, topics: _topics, tombstones: _tombstones, settings: _settings, knownBrokerIds, ...facts } = registration;
  const { brokerId } = registration;
  return [
    ...lostLeaders(state, brokerId),
    { type: 'broker_put', broker: { ...facts, status: 'up', sinceMs: nowMs } },
    { type: 'replicas_reported', brokerId, replicas, complete: true },
    { type: 'broker_rumoured', brokerIds: [...new Set([...knownBrokerIds, ...peerIds(replicas)])] },
  ];
}

/** Brokers that have replicas beside these, as far as these know: nobody remembers them who has just started. */
function peerIds(replicas: readonly ReplicaReport[]): number[] {
  return replicas.flatMap(({ config }) =>
    [...(config?.replicas ?? []), ...(config?.learners ?? [])].map(({ brokerId }) => brokerId),
  );
}

export function setBrokerStatus(
  state: ClusterState,
  brokerId: number,
  status: BrokerStatus,
  nowMs: number,
): ClusterRecord[] {
  const known = state.broker(brokerId)?.facts;
  if (known === undefined || known.status === status) return [];
  return [{ type: 'broker_put', broker: { ...known, status, sinceMs: nowMs } }];
}

function lostLeaders(state: ClusterState, brokerId: number): ClusterRecord[] {
  const records: ClusterRecord[] = [];
  for (const topic of state.topics()) {
    for (const { partition, live, leader } of topic.partitions) {
      if (live && leader === brokerId)
        records.push({ type: 'leader_lost', topicId: topic.definition.topicId, partition });
    }
  }
  return records;
}

/** A heartbeat's news. */
export function reportReplicas(
  state: ClusterState,
  brokerId: number,
  changed: readonly ReplicaReport[],
): ClusterRecord[] {
  return [
    { type: 'replicas_reported', brokerId, replicas: changed, complete: false },
    ...changed.flatMap((report) => mergeReport(state, brokerId, report)),
  ];
}

/** What live brokers said before, looked at again: a topic may have become known only after the report that named it. */
export function repeatReports(state: ClusterState): ClusterRecord[] {
  return [...state.brokers()].flatMap(({ facts, replicas }) =>
    facts.status === 'down'
      ? []
      : [...replicas.values()].flatMap((report) => mergeReport(state, facts.brokerId, report)),
  );
}

export interface InSyncReport {
  readonly topicId: string;
  readonly partition: number;
  readonly epoch: number;
  readonly inSync: readonly number[];
  readonly inSyncVersion: number;
}

/** In-sync sets as their leader tells them; those of an old epoch or another leader are passed over. */
export function reportInSync(state: ClusterState, brokerId: number, reports: readonly InSyncReport[]): ClusterRecord[] {
  return reports.flatMap((report): ClusterRecord[] => {
    const known = state.partition(report.topicId, report.partition);
    if (known?.epoch !== report.epoch || known.leader !== brokerId || report.inSyncVersion <= known.inSyncVersion)
      return [];
    return [{ type: 'in_sync_changed', ...report }];
  });
}

export interface LedPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly epoch: number;
  readonly brokerId: number;
  readonly config: ReplicaConfig;
  /** Made with possible loss. */
  readonly unclean: boolean;
}

/**
 * A replica leads. None when a newer epoch is known by now, or the broker has gone silent meanwhile; a follower's report may
 * have told of it before.
 */
export function recordLeader(state: ClusterState, led: LedPartition): ClusterRecord[] {
  const { topicId, partition, epoch, brokerId, config, unclean } = led;
  const known = state.partition(topicId, partition);
  if (known === undefined || state.broker(brokerId)?.facts.status === 'down') return [];
  const records = leaderHeard(known, { topicId, partition, epoch, brokerId });
  if (records.length > 0 && config.configVersion > (known.config?.configVersion ?? 0))
    records.unshift({ type: 'config_learned', topicId, partition, config });
  if (unclean) records.push({ type: 'partition_lossy', topicId, partition, epoch });
  return records;
}
