/**
 * Elections of partitions without a leader, many in one call to a broker: promises first, then the leaders they allow. Every
 * attempt has a fresh nonce; what fails is tried again later, each partition with a back-off and jitter of its own, so that
 * two coordinators which both believe to be active do not meet for ever.
 */
import { randomBytes } from 'node:crypto';
import { evaluatePromises, planElections, recordLeader } from '@partita/cluster';
import type { ElectionOutcome, ElectionPlan, PromiseReply, ReplicaIdentity, Tombstone } from '@partita/cluster';
import { partitionKey } from '@partita/domain';
import type { Clock, Random } from '@partita/domain';
import type { LeadEntry, LeadResult, PromiseEntry, PromiseResult, Status } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { backoffDelayMs } from '@partita/rpc/client';
import type { Logger } from '@partita/runtime';
import { chunks } from './broker-orders.ts';
import type { BrokerOrders } from './broker-orders.ts';
import type { ClusterModel } from './cluster-model.ts';
import { groupBy } from './grouping.ts';
import type { Lease } from './lease.ts';
import { configFromMessage } from './peer-messages.ts';

export interface ElectionsOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly orders: BrokerOrders;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A broker has stored that the topic is deleted: there is nothing to elect. */
  readonly onTombstone: (tombstone: Tombstone) => void;
}

/** How long the other replicas are waited for once those that answered suffice: the fuller the picture, the fewer cuts. */
const PROMISE_GRACE_MS = 200;

/** Without the store another coordinator may be electing too: leave it the first seconds. */
const UNANCHORED_DELAY_MS = 3000;

/**
 * Calls under way at once to the same brokers. All at once, the deadline of the last would count the work on those before
 * it, and ten thousand partitions would time out and begin again; with two, a broker always has one to go on with.
 */
const CALL_COUNT_MAX = 2;

type Elected = Extract<ElectionOutcome, { kind: 'elected' }>;

interface Election {
  readonly plan: ElectionPlan;
  readonly outcome: Elected;
}

export class Elections {
  readonly #options: ElectionsOptions;
  readonly #busy = new Set<string>();
  /** Calls under way, by the brokers that they go to. */
  readonly #callCounts = new Map<string, number>();
  /** Partitions whose last attempt failed; forgotten when they have a leader. */
  readonly #failures = new Map<string, { count: number; notBeforeMs: number }>();
  #retryTimer: NodeJS.Timeout | undefined;
  #retryAtMs = Infinity;

  constructor(options: ElectionsOptions) {
    this.#options = options;
    options.model.onChange((change) => {
      if (change.brokerIds.size > 0 || change.partitions.size > 0) this.run();
    });
    options.lease.onChange(() => this.run());
  }

  /** Begins an election wherever one is due; what must wait for a call under way is planned anew after it. */
  run(): void {
    const { model, lease } = this.#options;
    if (!lease.mayOrder()) return;
    const plans = planElections(model.state, (topicId, partition) => this.#isDue(partitionKey({ topicId, partition })));
    for (const [brokers, group] of bySameBrokers(plans)) {
      const room = CALL_COUNT_MAX - (this.#callCounts.get(brokers) ?? 0);
      for (const chunk of chunks(group).slice(0, Math.max(0, room))) void this.#call(brokers, chunk);
    }
  }

  #isDue(key: string): boolean {
    if (this.#busy.has(key)) return false;
    const nowMs = this.#options.clock.monotonicMs();
    const failure = this.#failures.get(key);
    if (failure !== undefined) return nowMs >= failure.notBeforeMs;
    if (this.#options.lease.status() !== 'unanchored') return true;
    this.#failures.set(key, { count: 0, notBeforeMs: nowMs + UNANCHORED_DELAY_MS * (1 + this.#options.random.next()) });
    return false;
  }

  async #call(brokers: string, plans: readonly ElectionPlan[]): Promise<void> {
    this.#callCounts.set(brokers, (this.#callCounts.get(brokers) ?? 0) + 1);
    await this.#elect(plans);
    const left = (this.#callCounts.get(brokers) ?? 1) - 1;
    if (left > 0) this.#callCounts.set(brokers, left);
    else this.#callCounts.delete(brokers);
    this.run();
  }

  /** Never rejects. */
  async #elect(plans: readonly ElectionPlan[]): Promise<void> {
    for (const plan of plans) this.#busy.add(partitionKey(plan));
    const nonce = randomBytes(16);
    // Asked once, an epoch is spent: whatever becomes of this attempt, the next one chooses anew above it.
    for (const plan of plans) this.#seen(plan, plan.epoch);
    try {
      await this.#appointLeaders(await this.#collectPromises(plans, nonce), nonce);
    } catch (error) {
      this.#options.logger.error({ err: error }, 'an election failed');
    } finally {
      for (const plan of plans) this.#finish(plan);
    }
  }

  /** By the state, not by the answer: a heartbeat of the new leader may have come before it. */
  #finish(plan: ElectionPlan): void {
    const key = partitionKey(plan);
    this.#busy.delete(key);
    if (this.#options.model.state.partition(plan.topicId, plan.partition)?.live === true) {
      this.#failures.delete(key);
      return;
    }
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const notBeforeMs = this.#options.clock.monotonicMs() + backoffDelayMs(count - 1, this.#options.random);
    this.#failures.set(key, { count, notBeforeMs });
    this.#retryAt(notBeforeMs);
  }

  /** One timer serves all: when it fires, `run` takes what is due, and failures set it again. */
  #retryAt(atMs: number): void {
    if (atMs >= this.#retryAtMs) return;
    clearTimeout(this.#retryTimer);
    this.#retryAtMs = atMs;
    const fire = () => {
      this.#retryAtMs = Infinity;
      this.run();
    };
    this.#retryTimer = setTimeout(fire, Math.ceil(atMs - this.#options.clock.monotonicMs())).unref();
  }

  async #collectPromises(plans: readonly ElectionPlan[], nonce: Buffer): Promise<Election[]> {
    const replies = new Map<ElectionPlan, PromiseReply[]>(plans.map((plan) => [plan, []]));
    const asked = plans.flatMap((plan) => plan.replicas.map((replica) => ({ plan, replica })));
    let goOn = (): void => undefined;
    const enough = new Promise<void>((resolve) => (goOn = resolve));
    const outcomeOf = (plan: ElectionPlan) => evaluatePromises(plan, replies.get(plan) ?? []);
    const calls = this.#atEachBroker(
      asked,
      ({ replica }) => replica.brokerId,
      async (brokerId, entries) => {
        const request = entries.map(({ plan, replica }) => promiseEntry(plan, replica, nonce));
        const results = await this.#options.orders.promise(brokerId, request);
        entries.forEach(({ plan, replica }, index) => {
          const result = results[index];
          if (result?.error === undefined && result !== undefined)
            replies.get(plan)?.push(promiseReply(replica, result));
          else this.#refused(plan, brokerId, result?.error);
        });
        // A broker that hangs and is not known to be silent yet must not hold up the others.
        if (plans.every((plan) => outcomeOf(plan).kind === 'elected')) setTimeout(goOn, PROMISE_GRACE_MS);
      },
    );
    await Promise.race([calls, enough]);
    return plans.flatMap((plan) => {
      const outcome = outcomeOf(plan);
      if (outcome.kind === 'elected') return [{ plan, outcome }];
      this.#options.logger.debug({ ...place(plan), why: outcome.why }, 'no leader elected');
      if (outcome.promisedEpoch > 0) this.#seen(plan, outcome.promisedEpoch);
      return [];
    });
  }

  #refused(plan: ElectionPlan, brokerId: number, status: Status | undefined): void {
    const { logger, clock, onTombstone } = this.#options;
    logger.warn({ ...place(plan), brokerId, status }, 'a replica refused an election');
    const { reason, metadata } = status === undefined ? {} : fromRpcStatus(status);
    const deleteId = metadata?.['delete_id'];
    if (reason !== 'TOPIC_NOT_FOUND' || deleteId === undefined) return;
    onTombstone({ topicId: plan.topicId, name: '', deleteId, deleteTimeMs: clock.wallMs() });
  }

  async #appointLeaders(elections: readonly Election[], nonce: Buffer): Promise<void> {
    await this.#atEachBroker(
      elections,
      ({ outcome }) => outcome.leader.brokerId,
      async (brokerId, entries) => {
        const results = await this.#options.orders.lead(
          brokerId,
          entries.map((election) => leadEntry(election, nonce)),
        );
        entries.forEach((election, index) => this.#takeLeader(election, results[index]));
      },
    );
  }

  #takeLeader({ plan, outcome }: Election, result: LeadResult | undefined): void {
    const { model, logger } = this.#options;
    if (result?.leading !== true) {
      logger.debug({ ...place(plan), status: result?.error }, 'a replica does not lead though elected');
      this.#seen(plan, Math.max(plan.epoch, result?.promisedEpoch ?? 0));
      return;
    }
    const config = result.config === undefined ? outcome.config : configFromMessage(result.config);
    const { topicId, partition, epoch } = plan;
    model.apply(recordLeader(model.state, { topicId, partition, epoch, brokerId: outcome.leader.brokerId, config }));
    logger.debug({ ...place(plan), leader: outcome.leader.brokerId }, 'leader elected');
  }

  #seen({ topicId, partition }: ElectionPlan, epoch: number): void {
    this.#options.model.apply([{ type: 'epoch_seen', topicId, partition, epoch }]);
  }

  /** Calls every broker once with its entries. A broker that fails costs its own entries only. */
  async #atEachBroker<Entry>(
    entries: readonly Entry[],
    brokerOf: (entry: Entry) => number,
    call: (brokerId: number, entries: readonly Entry[]) => Promise<void>,
  ): Promise<void> {
    const byBroker = groupBy(entries, brokerOf);
    const calls = [...byBroker].map(async ([brokerId, own]) => {
      try {
        await call(brokerId, own);
      } catch (error) {
        this.#options.logger.warn(
          { err: error, brokerId, partitions: own.length },
          'a broker did not answer an election',
        );
      }
    });
    await Promise.all(calls);
  }
}

/** Plans whose replicas are on the same brokers, so that a broker that hangs holds up only what it takes part in. */
function bySameBrokers(plans: readonly ElectionPlan[]): ReadonlyMap<string, ElectionPlan[]> {
  const brokersOf = (plan: ElectionPlan) =>
    plan.replicas
      .map(({ brokerId }) => brokerId)
      .sort((a, b) => a - b)
      .join();
  return groupBy(plans, brokersOf);
}

function promiseEntry(
  { topicId, partition, epoch }: ElectionPlan,
  { replicaId }: ReplicaIdentity,
  nonce: Buffer,
): PromiseEntry {
  return { topicId, partition, replicaId, epoch, nonce };
}

function leadEntry({ plan, outcome }: Election, nonce: Buffer): LeadEntry {
  const { topicId, partition, epoch } = plan;
  const { leader, lastEpoch, logEndOffset } = outcome;
  return { topicId, partition, replicaId: leader.replicaId, epoch, nonce, lastEpoch, logEndOffset, unclean: false };
}

function promiseReply(replica: ReplicaIdentity, result: PromiseResult): PromiseReply {
  const { granted, promisedEpoch, lastEpoch, logEndOffset, suspect, configs, configFloor } = result;
  return {
    replica,
    granted,
    promisedEpoch,
    lastEpoch,
    logEndOffset,
    suspect,
    configs: configs.map(configFromMessage),
    configFloor,
  };
}

function place({ topicId, partition, epoch }: ElectionPlan): { topicId: string; partition: number; epoch: number } {
  return { topicId, partition, epoch };
}
