/** When a cluster is itself again: every partition led, every replica in sync, records acknowledged in each. */
import { connect } from '@partita/client';
import { ClusterServiceService, ReassignmentState } from '@partita/protocol';
import { until } from '@partita/tool-dev/until.ts';
import type { HistoryEvent } from '@partita/tool-history/history.ts';
import { keyOf } from '@partita/tool-history/history.ts';
import type { ChaosCluster } from './cluster/chaos-cluster.ts';
import { askCoordinators } from './cluster/coordinator-calls.ts';

const ANSWER_MS_MAX = 3000;
const OPEN: ReadonlySet<ReassignmentState> = new Set([
  ReassignmentState.REASSIGNMENT_STATE_PENDING,
  ReassignmentState.REASSIGNMENT_STATE_RUNNING,
]);

export interface Wanted {
  readonly topic: string;
  readonly partitionCount: number;
  readonly replicaCount: number;
}

/** Rejects with what is still missing when that takes longer. */
export async function untilRecovered(
  cluster: ChaosCluster,
  wanted: Wanted,
  { events, secondsMax }: { readonly events: readonly HistoryEvent[]; readonly secondsMax: number },
): Promise<void> {
  const seenCount = events.length;
  await untilInSync(cluster, wanted, secondsMax);
  const open = new Set(Array.from({ length: wanted.partitionCount }, (_, partition) => keyOf(wanted.topic, partition)));
  let looked = seenCount;
  await until('an acknowledgement in each partition', secondsMax, () => {
    for (; looked < events.length; looked += 1) {
      const event = events[looked];
      if (event?.f === 'send' && event.type === 'ok' && event.key !== undefined) open.delete(event.key);
    }
    if (open.size > 0) throw new Error(`none in ${[...open].join()}`);
    return true;
  });
}

/** No replica is on its way anywhere: a picture taken now is one of a cluster at rest. */
export async function untilAtRest(cluster: ChaosCluster, secondsMax: number): Promise<void> {
  await until('the end of all moves', secondsMax, async () => {
    const method = ClusterServiceService.listReassignments;
    const request = { pageSize: 1000, pageToken: '' };
    const { reassignments } = await askCoordinators(cluster, method, { request, secondsMax });
    const open = reassignments.filter(({ state }) => OPEN.has(state));
    if (open.length > 0) throw new Error(`${open.length} are under way, the first: ${JSON.stringify(open[0]?.moves)}`);
    return true;
  });
}

/** Each partition of the topic has a leader and so many replicas in sync. */
export async function untilInSync(cluster: ChaosCluster, wanted: Wanted, secondsMax: number): Promise<void> {
  const { topic, replicaCount } = wanted;
  await until(`${replicaCount} replicas of each partition of ${topic} in sync`, secondsMax, async () => {
    const client = await connect({ servers: cluster.endpoints, clientId: 'chaos' });
    try {
      const { partitions } = await client.admin.getTopic(topic, { deadlineMs: ANSWER_MS_MAX });
      const short = partitions.find(({ leaderId, inSyncIds }) => leaderId === 0 || inSyncIds.length < replicaCount);
      if (short !== undefined)
        throw new Error(`partition ${short.partition} is led by ${short.leaderId}, in sync ${short.inSyncIds.join()}`);
      return true;
    } finally {
      await client.close();
    }
  });
}
