/** What can be seen of the replicas at a collection, found out in one pass over them. */
import { statfsSync } from 'node:fs';
import { currentConfig, inSyncIds } from '@partita/replication';
import type { LeaderRole } from '@partita/replication';
import type { Metrics, Report } from '@partita/telemetry';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';

export interface ReplicaMetricsOptions {
  readonly registry: PartitionRegistry;
  readonly dataDir: string;
  /** True = series for each partition too. */
  readonly byPartition: boolean;
  /** Bytes that wait to be sent: to followers, and in the public streams. */
  readonly queuedBytes: () => { readonly replicate: number; readonly fetch: number };
  /** Coordinators with which a session is up. */
  readonly coordinatorCount: () => number;
}

interface Totals {
  leader: number;
  follower: number;
  none: number;
  underReplicated: number;
  belowMinInSync: number;
  damaged: number;
  appendBytes: number;
  usedBytes: number;
}

export function observeReplicas(metrics: Metrics, options: ReplicaMetricsOptions): void {
  const { registry } = options;
  let totals = totalsOf(registry);
  metrics.beforeCollect(() => {
    totals = totalsOf(registry);
  });
  metrics.observe('partita.broker.partitions', (report) => {
    for (const role of ['leader', 'follower', 'none'] as const) report(totals[role], { role });
  });
  metrics.observe('partita.broker.partitions.under_replicated', (report) => report(totals.underReplicated));
  metrics.observe('partita.broker.partitions.below_min_in_sync', (report) => report(totals.belowMinInSync));
  metrics.observe('partita.broker.partitions.damaged', (report) => report(totals.damaged));
  metrics.observe('partita.broker.queue.bytes', (report) => {
    const { replicate, fetch } = options.queuedBytes();
    report(totals.appendBytes, { queue: 'append' });
    report(replicate, { queue: 'replicate' });
    report(fetch, { queue: 'fetch' });
  });
  metrics.observe('partita.broker.data.used', (report) => report(totals.usedBytes));
  metrics.observe('partita.broker.data.free', (report) => {
    const freeBytes = freeBytesOf(options.dataDir);
    if (freeBytes !== undefined) report(freeBytes);
  });
  metrics.observe('partita.broker.coordinator.connected', (report) => report(options.coordinatorCount()));
  if (options.byPartition) observePartitions(metrics, registry);
}

function totalsOf(registry: PartitionRegistry): Totals {
  const totals: Totals = {
    leader: 0,
    follower: 0,
    none: 0,
    underReplicated: 0,
    belowMinInSync: 0,
    damaged: [...registry.damaged()].length,
    appendBytes: 0,
    usedBytes: 0,
  };
  for (const actor of registry.actors()) addReplica(totals, actor);
  return totals;
}

function addReplica(totals: Totals, actor: PartitionActor): void {
  const { leader, state, log } = actor;
  totals.appendBytes += log.queuedBytes;
  totals.usedBytes += log.bytes;
  if (state.meta.suspect) totals.damaged += 1;
  if (leader === undefined) {
    totals[state.following === undefined ? 'none' : 'follower'] += 1;
    return;
  }
  totals.leader += 1;
  const { replicas, minInSyncReplicas } = currentConfig(state);
  const inSyncCount = inSyncIds(state, leader).length;
  if (inSyncCount < replicas.length) totals.underReplicated += 1;
  if (inSyncCount < minInSyncReplicas) totals.belowMinInSync += 1;
}

/** Undefined = the directory is gone, which the next write says. */
function freeBytesOf(directory: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

type PartitionReport = Report<[labels: { readonly topic: string; readonly partition: string }]>;

function observePartitions(metrics: Metrics, registry: PartitionRegistry): void {
  const each = (value: (actor: PartitionActor) => number | bigint) => (report: PartitionReport) => {
    for (const actor of registry.actors()) {
      report(Number(value(actor)), { topic: actor.topic.config.topic, partition: String(actor.partition) });
    }
  };
  const led = (value: (actor: PartitionActor, role: LeaderRole) => number) => (report: PartitionReport) => {
    for (const actor of registry.actors()) {
      const { leader } = actor;
      if (leader === undefined) continue;
      report(value(actor, leader), { topic: actor.topic.config.topic, partition: String(actor.partition) });
    }
  };
  metrics.observe(
    'partita.partition.log_start',
    each(({ log }) => log.logStart),
  );
  metrics.observe(
    'partita.partition.log_end',
    each(({ state }) => state.logEnd),
  );
  metrics.observe(
    'partita.partition.high_watermark',
    each(({ state }) => state.highWatermark),
  );
  metrics.observe(
    'partita.partition.size',
    each(({ log }) => log.bytes),
  );
  metrics.observe(
    'partita.partition.in_sync_replicas',
    led(({ state }, role) => inSyncIds(state, role).length),
  );
  metrics.observe('partita.partition.replication.lag', led(slowestLag));
}

/** Offsets that the slowest replica is behind; one that is not connected is behind by all that was appended here. */
function slowestLag({ state, log }: PartitionActor, role: LeaderRole): number {
  let lowest = state.logEnd;
  for (const { brokerId } of currentConfig(state).replicas) {
    if (brokerId === state.self.brokerId) continue;
    const durableEnd = role.followers.get(brokerId)?.durableEnd ?? 0n;
    const end = durableEnd > log.logStart ? durableEnd : log.logStart;
    if (end < lowest) lowest = end;
  }
  return Number(state.logEnd - lowest);
}
