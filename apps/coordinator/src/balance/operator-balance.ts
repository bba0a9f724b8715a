/** What operators order about brokers and balance: empty one, forget one, even all out. Each is noted in the audit trail. */
import { planBalance, removeBroker, requireKnownBroker, setEmptying } from '@partita/cluster';
import type { BalancePlan, Move, PlannedMove, ReassignmentReason } from '@partita/cluster';
import { PartitaError, REASSIGNMENT_MOVE_COUNT_MAX } from '@partita/domain';
import { ReassignmentState } from '@partita/protocol';
import type {
  DrainBrokerRequest,
  DrainBrokerResponse,
  Reassignment,
  RebalanceClusterRequest,
  RemoveBrokerRequest,
} from '@partita/protocol';
import type { AuditLog } from '../directory/audit-log.ts';
import type { Balancer } from './balancer.ts';
import type { RoleWatch } from './balance-roles.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { DirectoryPublisher } from '../directory/directory-publisher.ts';
import type { Lease } from '../directory/lease.ts';
import { reassignmentMessage } from '../replica-sets/reassignment-messages.ts';
import type { Reassignments } from '../replica-sets/reassignments.ts';
import type { SettingsDesk } from './settings-desk.ts';

export interface OperatorBalanceOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly audit: AuditLog;
  readonly desk: SettingsDesk;
  readonly balancer: Balancer;
  readonly watch: RoleWatch;
  readonly publisher: Pick<DirectoryPublisher, 'movesWritten'>;
  readonly reassignments: Pick<Reassignments, 'create' | 'get'>;
}

export class OperatorBalance {
  readonly #options: OperatorBalanceOptions;

  constructor(options: OperatorBalanceOptions) {
    this.#options = options;
  }

  /** BROKER_NOT_FOUND, NOT_ENOUGH_BROKERS when a replica has nowhere to go, and what `Lease.requireWritable` throws. */
  async drain(request: DrainBrokerRequest, clientId: string): Promise<DrainBrokerResponse> {
    const { model, lease, audit, desk } = this.#options;
    const { brokerId, replicas, validateOnly, cancel } = request;
    lease.requireWritable();
    requireKnownBroker(model.state, brokerId);
    if (cancel) {
      if (!validateOnly) {
        await desk.decide(({ state }) => setEmptying(state, brokerId, undefined));
        audit.note('broker_drain_cancel', `broker ${brokerId}`, clientId, {});
      }
      return { reassignment: undefined, leaderMoveCount: 0 };
    }
    const plan = this.#planWithout(brokerId, replicas);
    const moves = plan.moves.filter(({ fromBrokerId }) => fromBrokerId === brokerId);
    if (replicas) requireRoom(plan, brokerId);
    if (!validateOnly) {
      await desk.decide(({ state }) => setEmptying(state, brokerId, replicas ? 'replicas' : 'leaders'));
      audit.note('broker_drain', `broker ${brokerId}`, clientId, { replicas, moves: moves.length });
    }
    const leaderMoveCount = this.#leadersOf(brokerId);
    if (!replicas) return { reassignment: undefined, leaderMoveCount };
    const reassignment = validateOnly ? this.#shown(moves) : await this.#begin(moves, 'drain', clientId);
    return { reassignment, leaderMoveCount };
  }

  /** BROKER_NOT_FOUND, BROKER_NOT_EMPTY. */
  async remove({ brokerId }: RemoveBrokerRequest, clientId: string): Promise<void> {
    const { desk, audit } = this.#options;
    await desk.decide(({ state }) => removeBroker(state, brokerId));
    audit.note('broker_remove', `broker ${brokerId}`, clientId, {});
  }

  /** All that has to move, as one reassignment, whether or not the cluster balances itself. */
  async rebalance({ validateOnly }: RebalanceClusterRequest, clientId: string): Promise<Reassignment> {
    this.#options.lease.requireWritable();
    const { moves, leaders } = this.#options.balancer.plan();
    const all = [...moves, ...leaders.map((leader) => ({ ...leader, fromBrokerId: leader.toBrokerId }))];
    return validateOnly || all.length === 0 ? this.#shown(all) : this.#begin(all, 'operator', clientId);
  }

  #planWithout(brokerId: number, replicas: boolean): BalancePlan {
    const { model, watch } = this.#options;
    const { drainingBrokerIds, leaderlessBrokerIds } = watch.roles();
    return planBalance(model.state, {
      drainingBrokerIds: replicas ? new Set([...drainingBrokerIds, brokerId]) : drainingBrokerIds,
      leaderlessBrokerIds: replicas ? leaderlessBrokerIds : new Set([...leaderlessBrokerIds, brokerId]),
    });
  }

  /** The first of them; the balancer takes the others when these are done, or all when a move of another kind is under way. */
  async #begin(moves: readonly Move[], reason: ReassignmentReason, clientId: string): Promise<Reassignment> {
    const { model, reassignments, publisher } = this.#options;
    const taken = moves.slice(0, REASSIGNMENT_MOVE_COUNT_MAX);
    if (taken.length === 0) return this.#shown(moves);
    try {
      const { reassignmentId } = reassignments.create({ moves: taken, reason, clientId });
      await publisher.movesWritten(reassignmentId);
      return reassignmentMessage(model.state, reassignments.get(reassignmentId));
    } catch (error) {
      const isBusy = error instanceof PartitaError && error.reason === 'REASSIGNMENT_UNDER_WAY';
      if (reason === 'drain' && isBusy) return this.#shown(moves);
      throw error;
    }
  }

  /** As they would be made; no reassignment has begun, so it has no id. */
  #shown(moves: readonly (Move & Partial<PlannedMove>)[]): Reassignment {
    const { state } = this.#options.model;
    const pending = ReassignmentState.REASSIGNMENT_STATE_PENDING;
    return {
      reassignmentId: '',
      moves: moves.map(({ topicId, partition, fromBrokerId, toBrokerId }) => ({
        partition: { topic: state.topicById(topicId)?.name ?? topicId, partition },
        fromBrokerId,
        toBrokerId,
        state: pending,
        errorReason: '',
      })),
      state: pending,
      createTime: undefined,
      copiedBytes: 0n,
      totalBytes: BigInt(moves.reduce((sum, { bytes = 0 }) => sum + bytes, 0)),
    };
  }

  #leadersOf(brokerId: number): number {
    return [...this.#options.model.state.topics()]
      .flatMap(({ partitions }) => partitions)
      .filter(({ live, leader }) => live && leader === brokerId).length;
  }
}

function requireRoom({ stuck }: BalancePlan, brokerId: number): void {
  const count = stuck.filter((replica) => replica.brokerId === brokerId).length;
  if (count === 0) return;
  throw new PartitaError(
    'NOT_ENOUGH_BROKERS',
    `${count} replicas of broker ${brokerId} have nowhere to go: each partition needs as many brokers as it has replicas. Start another broker, or lower the replication factor of topics`,
    { broker_id: String(brokerId), replica_count: String(count) },
  );
}
