/**
 * Evens out replicas and leaders by itself, one replica at a time, while nothing else is the matter: every broker has been up for
 * a while, the directory is in step, no other move is under way. Each move is a reassignment, so progress and cancelling are
 * those of reassignments. Brokers that operators empty are emptied also while balancing is switched off.
 */
import { effectiveClusterSettings, planBalance } from '@partita/cluster';
import type { BalancePlan, BalanceRoles, Move, MoveReason, ReassignmentReason } from '@partita/cluster';
import { BALANCE_CALM_MS, BALANCE_RETRY_MS, PartitaError } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { Logger } from '@partita/runtime';
import type { RoleWatch } from './balance-roles.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { Lease } from '../directory/lease.ts';
import type { Reassignments } from '../replica-sets/reassignments.ts';

export interface BalancerOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reassignments: Pick<Reassignments, 'create' | 'openMoves' | 'get'>;
  readonly watch: RoleWatch;
}

/** Leaders that are named anew at once: no bytes move. */
const LEADERS_AT_ONCE_COUNT = 50;

interface Step extends Move {
  readonly reason: MoveReason;
}

export class Balancer {
  readonly #options: BalancerOptions;
  /** When a broker last came, went or changed its state. */
  #changedAtMs: number;
  #notBeforeMs = 0;
  /** What is left of the last plan; undefined = plan anew. */
  #steps: Step[] | undefined;
  /** Something may have made the last plan, which was empty, wrong. */
  #isStale = true;
  #lastId: string | undefined;

  constructor(options: BalancerOptions) {
    this.#options = options;
    this.#changedAtMs = options.clock.monotonicMs();
    options.model.onChange((change) => {
      if (change.brokerIds.size > 0) this.#changedAtMs = options.clock.monotonicMs();
      if (change.brokerIds.size > 0 || change.settings) this.#steps = undefined;
      if (change.brokerIds.size > 0 || change.settings || change.topicIds.size > 0) this.#isStale = true;
      if (change.reassignmentIds.size > 0) this.run();
    });
    options.lease.onChange(() => (this.#changedAtMs = options.clock.monotonicMs()));
  }

  /** All that would have to move now. */
  plan(roles: BalanceRoles = this.#options.watch.roles()): BalancePlan {
    return planBalance(this.#options.model.state, roles);
  }

  /** Takes the next step if one is due. Called each RECONCILE_MS, and when a move has ended. */
  run(): void {
    const { lease, clock, reassignments, logger } = this.#options;
    if (lease.anchoredToken() === undefined || reassignments.openMoves().length > 0) return;
    this.#lookBack();
    if (clock.monotonicMs() < this.#notBeforeMs) return;
    const moves = this.#next();
    const [first] = moves;
    if (first === undefined) return;
    try {
      const reason: ReassignmentReason = first.reason === 'drain' ? 'drain' : 'balance';
      this.#lastId = reassignments.create({ moves, reason }).reassignmentId;
      logger.info({ moves: moves.length, reason, first }, 'moving replicas or leaders');
    } catch (error) {
      if (!(error instanceof PartitaError)) throw error;
      logger.info({ err: error }, 'a move was refused; planning anew later');
      this.#giveWay();
    }
  }

  /** A move that failed or was cancelled is not tried again at once. */
  #lookBack(): void {
    const { reassignments } = this.#options;
    if (this.#lastId === undefined) return;
    const id = this.#lastId;
    this.#lastId = undefined;
    try {
      if (reassignments.get(id).moves.some(({ outcome }) => outcome !== 'succeeded')) this.#giveWay();
    } catch {
      // Forgotten by now: it ended long ago.
    }
  }

  #giveWay(): void {
    this.#steps = undefined;
    this.#isStale = true;
    this.#notBeforeMs = this.#options.clock.monotonicMs() + BALANCE_RETRY_MS;
  }

  /** The next move of a replica, or the next leaders when none is left. Empty = nothing is due. */
  #next(): readonly Step[] {
    const { model, watch } = this.#options;
    const { autoBalance } = effectiveClusterSettings(model.state.settings());
    const roles = watch.roles();
    if (!autoBalance && roles.drainingBrokerIds.size + roles.leaderlessBrokerIds.size === 0) return [];
    if (!this.#isQuiet()) return [];
    if (this.#steps?.every((step) => this.#isMoot(step)) !== false) {
      if (!this.#isStale) return [];
      this.#steps = stepsOf(this.plan(roles));
      this.#isStale = false;
    }
    const mayBalance = autoBalance && this.#isWhole(roles);
    const due = this.#steps.filter((step) => (step.reason === 'drain' || mayBalance) && !this.#isMoot(step));
    const move = due.find((step) => step.fromBrokerId !== step.toBrokerId && this.#isReady(step));
    const leaders = due.filter((step) => step.fromBrokerId === step.toBrokerId && this.#isReady(step));
    const next = move === undefined ? leaders.slice(0, LEADERS_AT_ONCE_COUNT) : [move];
    this.#steps = this.#steps.filter((step) => !next.includes(step));
    return next;
  }

  /** No broker has come or gone of late. */
  #isQuiet(): boolean {
    return this.#options.clock.monotonicMs() - this.#changedAtMs >= BALANCE_CALM_MS;
  }

  /** Every broker is up, but for those that are emptied. */
  #isWhole({ drainingBrokerIds }: BalanceRoles): boolean {
    const { state } = this.#options.model;
    const others = [...state.brokers()].filter(({ facts }) => !drainingBrokerIds.has(facts.brokerId));
    const isMissing = state.missingBrokerIds().some((id) => !drainingBrokerIds.has(id));
    return !isMissing && others.every(({ facts }) => facts.status === 'up');
  }

  /** The replica is not where it was planned from, or is where it was to go. */
  #isMoot({ topicId, partition, fromBrokerId, toBrokerId }: Step): boolean {
    const members = this.#options.model.state.partition(topicId, partition)?.config?.replicas;
    if (members === undefined) return true;
    const has = (id: number) => members.some(({ brokerId }) => brokerId === id);
    if (fromBrokerId === toBrokerId) return !has(toBrokerId) || members[0]?.brokerId === toBrokerId;
    return !has(fromBrokerId) || has(toBrokerId);
  }

  /** The partition has a leader, and all its members but the one that goes are in sync: one more fault takes nothing away. */
  #isReady({ topicId, partition, fromBrokerId, toBrokerId }: Step): boolean {
    const known = this.#options.model.state.partition(topicId, partition);
    if (known?.live !== true || known.config === undefined || known.config.learners.length > 0) return false;
    const goes = fromBrokerId === toBrokerId ? 0 : fromBrokerId;
    return known.config.replicas.every(({ brokerId }) => brokerId === goes || known.inSync.includes(brokerId));
  }
}

function stepsOf({ moves, leaders }: BalancePlan): Step[] {
  return [...moves, ...leaders.map((leader) => ({ ...leader, fromBrokerId: leader.toBrokerId }))];
}
