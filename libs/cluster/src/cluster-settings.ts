/**
 * What the cluster as a whole is set to. Coordinators, the directory and every broker keep a copy; the highest version holds, so
 * the settings survive the loss of all but one of them.
 */
import { MOVE_BYTES_PER_SECOND_DEFAULT, MOVE_BYTES_PER_SECOND_MIN, PartitaError } from '@partita/domain';
import type { Quota } from '@partita/domain';
import type { ClusterState } from './cluster-state.ts';
import type { ClusterRecord, Decision } from './records.ts';

export interface ClusterSettings {
  /** Grows with each change; 0 = never changed. */
  readonly version: bigint;
  /** False = replicas and leaders are moved only when somebody asks. Undefined = true. */
  readonly autoBalance: boolean | undefined;
  /** Undefined = MOVE_BYTES_PER_SECOND_DEFAULT. */
  readonly moveBytesPerSecond: number | undefined;
  /** Brokers that are being emptied. */
  readonly drainingBrokerIds: readonly number[];
  /** Brokers that keep their replicas and shall not lead. */
  readonly leaderlessBrokerIds: readonly number[];
  /** Brokers that were removed, the last one last; hearsay does not bring them back. */
  readonly removedBrokerIds: readonly number[];
  /** One for a client id and topic at most, in the order of quotaKey; at most QUOTA_COUNT_MAX. */
  readonly quotas: readonly Quota[];
}

export const UNCHANGED_SETTINGS: ClusterSettings = {
  version: 0n,
  autoBalance: undefined,
  moveBytesPerSecond: undefined,
  drainingBrokerIds: [],
  leaderlessBrokerIds: [],
  removedBrokerIds: [],
  quotas: [],
};

/** Removed brokers that are remembered. */
const REMOVED_BROKER_COUNT_MAX = 1000;

export type SettingsChange = Partial<Omit<ClusterSettings, 'version'>>;

/** The settings with this change, under the next version; no records when all is so already. INVALID_SETTING. */
export function changeClusterSettings(state: ClusterState, change: SettingsChange): Decision<ClusterSettings> {
  const known = state.settings();
  const { moveBytesPerSecond } = change;
  if (moveBytesPerSecond !== undefined && !isRate(moveBytesPerSecond)) {
    throw new PartitaError(
      'INVALID_SETTING',
      `move_bytes_per_second must be at least ${MOVE_BYTES_PER_SECOND_MIN}; it is ${moveBytesPerSecond}`,
      { setting: 'move_bytes_per_second', value: String(moveBytesPerSecond) },
    );
  }
  const settings = { ...known, ...change, version: known.version + 1n };
  const text = (of: ClusterSettings) => JSON.stringify({ ...of, version: 0 });
  if (text(settings) === text(known)) return { records: [], response: known };
  return { records: [{ type: 'settings_put', settings }], response: settings };
}

function isRate(value: number): boolean {
  return Number.isSafeInteger(value) && value >= MOVE_BYTES_PER_SECOND_MIN;
}

/** Settings that a broker or the directory has: they hold if their version is higher. */
export function mergeClusterSettings(state: ClusterState, settings: ClusterSettings): ClusterRecord[] {
  return settings.version > state.settings().version ? [{ type: 'settings_put', settings }] : [];
}

export type EmptyingScope = 'replicas' | 'leaders';

/** Begins to empty a broker, of everything or of leaderships only, or ends it. BROKER_NOT_FOUND. */
export function setEmptying(
  state: ClusterState,
  brokerId: number,
  scope: EmptyingScope | undefined,
): Decision<ClusterSettings> {
  requireKnownBroker(state, brokerId);
  const { drainingBrokerIds, leaderlessBrokerIds } = state.settings();
  return changeClusterSettings(state, {
    drainingBrokerIds: withMember(drainingBrokerIds, brokerId, scope === 'replicas'),
    leaderlessBrokerIds: withMember(leaderlessBrokerIds, brokerId, scope === 'leaders'),
  });
}

/**
 * Forgets a broker. BROKER_NOT_FOUND; BROKER_NOT_EMPTY while it is not down, or is a member or learner of any partition: data that
 * may be the only copy is not forgotten.
 */
export function removeBroker(state: ClusterState, brokerId: number): Decision<ClusterSettings> {
  requireKnownBroker(state, brokerId);
  const replicaCount = replicasOn(state, brokerId);
  const isDown = (state.broker(brokerId)?.facts.status ?? 'down') === 'down';
  if (!isDown || replicaCount > 0) {
    const why = isDown ? `${replicaCount} partitions have a replica on it` : 'it is running';
    throw new PartitaError(
      'BROKER_NOT_EMPTY',
      `broker ${brokerId} cannot be removed: ${why}. First empty it (partita broker drain ${brokerId}), then stop it`,
      { broker_id: String(brokerId), replica_count: String(replicaCount) },
    );
  }
  const { drainingBrokerIds, leaderlessBrokerIds, removedBrokerIds } = state.settings();
  return changeClusterSettings(state, {
    drainingBrokerIds: withMember(drainingBrokerIds, brokerId, false),
    leaderlessBrokerIds: withMember(leaderlessBrokerIds, brokerId, false),
    removedBrokerIds: withMember(removedBrokerIds, brokerId, true).slice(-REMOVED_BROKER_COUNT_MAX),
  });
}

/** Removed brokers that have come again are new ones: they leave the list. */
export function readmitBrokers(state: ClusterState): ClusterRecord[] {
  const { removedBrokerIds } = state.settings();
  const left = removedBrokerIds.filter((id) => (state.broker(id)?.facts.status ?? 'down') === 'down');
  if (left.length === removedBrokerIds.length) return [];
  return [...changeClusterSettings(state, { removedBrokerIds: left }).records];
}

/** True for a broker that is to lead nothing: it is being emptied, of all or of leaderships. */
export function isEmptied(state: ClusterState, brokerId: number): boolean {
  const { drainingBrokerIds, leaderlessBrokerIds } = state.settings();
  return drainingBrokerIds.includes(brokerId) || leaderlessBrokerIds.includes(brokerId);
}

/** Partitions of which the broker is a member or a learner. */
export function replicasOn(state: ClusterState, brokerId: number): number {
  let count = 0;
  for (const { partitions } of state.topics()) {
    for (const { config } of partitions) {
      const members = [...(config?.replicas ?? []), ...(config?.learners ?? [])];
      if (members.some((replica) => replica.brokerId === brokerId)) count += 1;
    }
  }
  return count;
}

export function requireKnownBroker(state: ClusterState, brokerId: number): void {
  if (state.broker(brokerId) !== undefined || state.missingBrokerIds().includes(brokerId)) return;
  if (replicasOn(state, brokerId) > 0) return;
  throw new PartitaError('BROKER_NOT_FOUND', `there is no broker ${brokerId}; look with: partita broker list`, {
    broker_id: String(brokerId),
  });
}

function withMember(ids: readonly number[], id: number, is: boolean): number[] {
  const others = ids.filter((other) => other !== id);
  return is ? [...others, id] : others;
}

/** In force, with defaults. */
export function effectiveClusterSettings(settings: ClusterSettings): {
  readonly autoBalance: boolean;
  readonly moveBytesPerSecond: number;
} {
  const { autoBalance = true, moveBytesPerSecond = MOVE_BYTES_PER_SECOND_DEFAULT } = settings;
  return { autoBalance, moveBytesPerSecond };
}
