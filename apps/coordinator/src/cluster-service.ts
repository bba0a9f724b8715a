/** ClusterService of a coordinator: the directory as every service tells it, the cluster in detail, and what operators order. */
import { ClusterServiceService } from '@partita/protocol';
import { directoryMethods, implement, unary } from '@partita/rpc/server';
import type { DirectoryServiceOptions, Implementation, RelayChoice } from '@partita/rpc/server';
import type { AuditLog } from './directory/audit-log.ts';
import type { BalanceWork } from './balance/balance-work.ts';
import { describeCluster } from './cluster-description.ts';
import type { DescriptionOptions } from './cluster-description.ts';
import { cancelReassignment, createReassignment, listReassignments } from './replica-sets/reassignment-methods.ts';
import type { ReassignmentMethodsOptions } from './replica-sets/reassignment-methods.ts';
import { reassignmentMessage } from './replica-sets/reassignment-messages.ts';
import type { OperatorElections } from './elections/operator-elections.ts';
import { listQuotas, updateQuota } from './quota-methods.ts';

export interface ClusterServiceOptions extends DescriptionOptions {
  readonly directory: DirectoryServiceOptions;
  readonly operator: OperatorElections;
  readonly audit: AuditLog;
  readonly moving: ReassignmentMethodsOptions;
  readonly balance: BalanceWork;
  readonly relay: RelayChoice;
}

export function clusterService(options: ClusterServiceOptions): Implementation<ClusterServiceService> {
  const { view, model, directory, operator, moving, audit, relay } = options;
  const { desk, operatorBalance, diagnosis } = options.balance;
  const quotas = { model, desk, audit };
  return implement(ClusterServiceService, {
    ...directoryMethods(view, directory),
    describeCluster: unary((request) => describeCluster(options, request.includePartitions), { relay }),
    electLeaders: unary(
      async (request, { clientId }) => ({ results: await operator.electLeaders(request, clientId) }),
      { relay },
    ),
    forceLeader: unary(async (request, { clientId }) => ({ result: await operator.force(request, clientId) }), {
      relay,
    }),
    recoverBestLog: unary(async (request, { clientId }) => ({ result: await operator.recover(request, clientId) }), {
      relay,
    }),
    createReassignment: unary(
      async (request, { clientId }) => ({ reassignment: await createReassignment(moving, request, clientId) }),
      { relay },
    ),
    getReassignment: unary(
      ({ reassignmentId }) => ({
        reassignment: reassignmentMessage(model.state, moving.reassignments.get(reassignmentId)),
      }),
      { relay },
    ),
    listReassignments: unary((request) => listReassignments(moving, request), { relay }),
    cancelReassignment: unary(
      async ({ reassignmentId }, { clientId }) => ({
        reassignment: await cancelReassignment(moving, reassignmentId, clientId),
      }),
      { relay },
    ),
    updateClusterSettings: unary(
      async (request, { clientId }) => ({ settings: await desk.update(request, clientId) }),
      { relay },
    ),
    updateQuota: unary(async (request, { clientId }) => ({ quota: await updateQuota(quotas, request, clientId) }), {
      relay,
    }),
    listQuotas: unary((request) => listQuotas(quotas, request), { relay }),
    drainBroker: unary((request, { clientId }) => operatorBalance.drain(request, clientId), { relay }),
    removeBroker: unary(
      async (request, { clientId }) => {
        await operatorBalance.remove(request, clientId);
        return {};
      },
      { relay },
    ),
    rebalanceCluster: unary(
      async (request, { clientId }) => ({ reassignment: await operatorBalance.rebalance(request, clientId) }),
      { relay },
    ),
    diagnoseCluster: unary(() => diagnosis.run(), { relay }),
    listAuditEntries: unary((request) => audit.list(request), { relay }),
  });
}
