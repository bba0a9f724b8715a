/**
 * The coordinator's instruments. What it knows of the cluster is counted when somebody asks, by the one that acts: a
 * coordinator on standby has read of it, maybe long ago.
 */
import type { MetadataStore } from '@partita/metadata-store';
import type { CounterSeries, Metrics } from '@partita/telemetry';
import { isUnderReplicated } from './cluster-description.ts';
import type { ClusterModel } from './cluster-model.ts';
import type { DirectoryPublisher } from './directory/directory-publisher.ts';
import type { Lease } from './directory/lease.ts';
import type { ReplicaChanges } from './replica-sets/replica-changes.ts';

const MS_PER_S = 1000;

/** Told of every election that has ended. */
export class ElectionMeter {
  readonly #led: CounterSeries;
  readonly #failed: CounterSeries;
  readonly #duration;

  constructor(metrics: Metrics) {
    const elections = metrics.counter('partita.coordinator.elections');
    this.#led = elections.of({ outcome: 'led' });
    this.#failed = elections.of({ outcome: 'failed' });
    this.#duration = metrics.histogram('partita.coordinator.election.duration').of();
  }

  ended(hasLeader: boolean, tookMs: number): void {
    (hasLeader ? this.#led : this.#failed).add(1);
    this.#duration.record(tookMs / MS_PER_S);
  }
}

/** Told of every controlled move of a leader that was tried. */
export class LeaderMoveMeter {
  readonly #moved: CounterSeries;
  readonly #failed: CounterSeries;
  readonly #duration;

  constructor(metrics: Metrics) {
    const moves = metrics.counter('partita.coordinator.leader_moves');
    this.#moved = moves.of({ outcome: 'moved' });
    this.#failed = moves.of({ outcome: 'failed' });
    this.#duration = metrics.histogram('partita.coordinator.leader_move.duration').of();
  }

  ended(isDone: boolean, tookMs: number): void {
    (isDone ? this.#moved : this.#failed).add(1);
    this.#duration.record(tookMs / MS_PER_S);
  }
}

export interface ObservedCoordinator {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly store: MetadataStore;
  readonly publisher: DirectoryPublisher;
  readonly changes: ReplicaChanges;
}

/** Reports the state of the coordinator and of its cluster at each collection; returns how to stop. */
export function observeCoordinator(
  metrics: Metrics,
  { model, lease, store, publisher, changes }: ObservedCoordinator,
): () => void {
  const stops = [
    metrics.observe('partita.coordinator.active', (report) => report(lease.isHeld ? 1 : 0)),
    metrics.observe('partita.coordinator.lease.changes', (report) => {
      report(lease.takenCount, { change: 'taken' });
      report(lease.lostCount, { change: 'lost' });
    }),
    metrics.observe('partita.coordinator.store.connected', (report) => report(store.state === 'up' ? 1 : 0)),
    metrics.observe('partita.coordinator.store.pending', (report) => report(publisher.pendingCount)),
    metrics.observe('partita.coordinator.replica_changes.pending', (report) => {
      if (lease.mayOrder()) report(changes.pendingCount);
    }),
    metrics.observe('partita.coordinator.brokers', (report) => {
      if (!lease.mayOrder()) return;
      const statuses = [...model.state.brokers()].map(({ facts }) => facts.status);
      const silentCount = statuses.filter((status) => status === 'down').length;
      report(statuses.length - silentCount, { state: 'up' });
      report(silentCount, { state: 'silent' });
    }),
    ...observeTopics(metrics, model, lease),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

interface TopicCounts {
  topics: number;
  partitions: number;
  offline: number;
  underReplicated: number;
}

function observeTopics(metrics: Metrics, model: ClusterModel, lease: Lease): (() => void)[] {
  const read = (count: (counts: TopicCounts) => number) => (report: (value: number) => void) => {
    if (lease.mayOrder()) report(count(countTopics(model)));
  };
  return [
    metrics.observe(
      'partita.coordinator.topics',
      read(({ topics }) => topics),
    ),
    metrics.observe(
      'partita.coordinator.partitions',
      read(({ partitions }) => partitions),
    ),
    metrics.observe(
      'partita.coordinator.partitions.offline',
      read(({ offline }) => offline),
    ),
    metrics.observe(
      'partita.coordinator.partitions.under_replicated',
      read(({ underReplicated }) => underReplicated),
    ),
  ];
}

/** As `partita cluster describe` counts: topics that are there, with the internal ones. */
function countTopics({ state }: ClusterModel): TopicCounts {
  const counts: TopicCounts = { topics: 0, partitions: 0, offline: 0, underReplicated: 0 };
  for (const topic of state.topics()) {
    const { life, partitions } = topic;
    if (life !== 'active') continue;
    counts.topics += 1;
    counts.partitions += partitions.length;
    for (const partition of partitions) {
      if (!partition.live) counts.offline += 1;
      if (isUnderReplicated(topic, partition)) counts.underReplicated += 1;
    }
  }
  return counts;
}
