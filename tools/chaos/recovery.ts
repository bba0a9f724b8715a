/** When a cluster is itself again: every partition led, every replica in sync, records acknowledged in each. */
import { connect } from '@partita/client';
import { until } from '@partita/tool-dev/until.ts';
import type { HistoryEvent } from '@partita/tool-history/history.ts';
import { keyOf } from '@partita/tool-history/history.ts';
import type { ChaosCluster } from './cluster/chaos-cluster.ts';

const ANSWER_MS_MAX = 3000;

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
