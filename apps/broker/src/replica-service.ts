/** ReplicaService: which replicas this broker holds, and the settings of their topics. All calls may be repeated. */
import { PartitaError } from '@partita/domain';
import { ReplicaServiceService } from '@partita/protocol';
import { passedOnDeadlineMs, toRpcStatus } from '@partita/rpc';
import { implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import { checkCluster } from './cluster-check.ts';
import type { ReplicaStore } from './replica-store.ts';

export function replicaMethods(options: {
  store: ReplicaStore;
  clusterId: string;
}): Implementation<typeof ReplicaServiceService> {
  const { store, clusterId } = options;
  return implement(ReplicaServiceService, {
    createReplicas: unary(async (request) => {
      checkCluster(clusterId, request.clusterId);
      const faults = await store.create(request.topics, request.replicas);
      const ok = { code: 0, message: '', details: [] };
      return { results: faults.map((fault) => (fault === undefined ? ok : toRpcStatus(fault))) };
    }),
    deleteTopicReplicas: unary(async ({ clusterId: cluster, tombstone }) => {
      checkCluster(clusterId, cluster);
      if (tombstone === undefined) {
        throw new PartitaError('INVALID_REQUEST', 'tombstone is missing; name the topic to delete', {
          field: 'tombstone',
        });
      }
      return { removedCount: await store.deleteTopic(tombstone) };
    }),
    deleteReplica: unary(async ({ clusterId: cluster, ...order }) => {
      checkCluster(clusterId, cluster);
      await store.delete(order);
      return {};
    }),
    proposeConfig: unary(async (request, { deadlineMs }) => {
      checkCluster(clusterId, request.clusterId);
      return store.propose(request, passedOnDeadlineMs(deadlineMs));
    }),
    updateTopicConfigs: unary(async (request) => {
      checkCluster(clusterId, request.clusterId);
      for (const config of request.topics) await store.putTopic(config);
      return {};
    }),
  });
}
