/** All rules, and what they find, worst first. */
import * as brokers from './broker-rules.ts';
import * as cluster from './cluster-rules.ts';
import type { ClusterSight, Found, Rule, Severity } from './finding.ts';
import * as partitions from './partition-rules.ts';

/** Things that are so for a moment whenever a leader changes: found only when they are still so after a while. */
const PASSING: readonly Rule[] = [cluster.directoryUnlikeBrokers, cluster.directoryUnlikeStore];

/** Causes before what comes of them: one broker that is away leaves many partitions with too few in sync. */
const LASTING: readonly Rule[] = [
  brokers.brokersAway,
  brokers.brokersEmptied,
  brokers.drainsStuck,
  brokers.disksFilling,
  brokers.clocksApart,
  brokers.versionsApart,
  partitions.withoutLeader,
  partitions.belowMinInSync,
  partitions.underReplicated,
  partitions.fewerReplicasThanWanted,
  partitions.lossy,
  partitions.suspectReplicas,
  partitions.oneRack,
  partitions.factorOne,
  partitions.minInSyncOne,
  partitions.parkedTopics,
  cluster.uneven,
  cluster.reassignmentsStalled,
  cluster.metadataStore,
];

const SEVERITY_ORDER: Readonly<Record<Severity, number>> = { error: 0, warning: 1, note: 2 };

/** `later`: the cluster a moment later, looked at only if something may pass. */
export async function diagnose(now: ClusterSight, later: () => Promise<ClusterSight>): Promise<Found[]> {
  const found = LASTING.flatMap((rule) => rule(now));
  const passing = PASSING.flatMap((rule) => rule(now));
  if (passing.length > 0) {
    const before = new Set(passing.map(({ code, subject }) => `${code} ${subject}`));
    const after = await later();
    const still = PASSING.flatMap((rule) => rule(after));
    found.push(...still.filter(({ code, subject }) => before.has(`${code} ${subject}`)));
  }
  return found.toSorted((a, b) => SEVERITY_ORDER[a.severity] - SEVERITY_ORDER[b.severity]);
}

/** Partitions, topics, brokers, instances and reassignments that were looked at, and the metadata store. */
export function lookedAtCount({ state, stalled }: ClusterSight): number {
  const topics = [...state.topics()];
  const partitionCount = topics.reduce((sum, topic) => sum + topic.partitions.length, 0);
  return (
    topics.length + partitionCount + [...state.brokers()].length + [...state.instances()].length + stalled.length + 1
  );
}
