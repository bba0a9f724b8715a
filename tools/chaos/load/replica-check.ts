/** All replicas byte by byte, below the high watermark, as they lie on the disks. */
import { connect } from '@partita/client';
import { compareReplicas } from '@partita/tool-history/divergence.ts';
import type { ChaosCluster } from '../cluster/chaos-cluster.ts';

export interface ReplicaCheck {
  /** Equal on all replicas that are in sync. */
  readonly batchCount: number;
  readonly problems: readonly string[];
}

/** Nobody writes meanwhile. */
export async function checkReplicas(cluster: ChaosCluster, topic: string): Promise<ReplicaCheck> {
  const client = await connect({ servers: cluster.endpoints, clientId: 'chaos' });
  const problems: string[] = [];
  let batchCount = 0;
  try {
    const { topicId, partitions } = await client.admin.getTopic(topic);
    for (const { partition, inSyncIds } of partitions) {
      const { highWatermark } = await client.admin.listOffset(topic, partition, 'latest');
      const dataDirs = cluster.file.brokers.filter(({ id }) => inSyncIds.includes(id)).map(({ dataDir }) => dataDir);
      const compared = await compareReplicas({ dataDirs, topicId, partition, highWatermark });
      batchCount += compared.batchCount;
      const { divergence } = compared;
      if (divergence !== undefined)
        problems.push(`${topic}-${partition}: ${divergence.kind} at ${divergence.offset} in ${divergence.dataDir}`);
      if (highWatermark === 0n) problems.push(`${topic}-${partition} is empty`);
    }
    return { batchCount, problems };
  } finally {
    await client.close();
  }
}
