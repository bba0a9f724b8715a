/**
 * One attempt to elect, many partitions at once: a fresh epoch and nonce, promises from every replica that answers, then the
 * order to lead to those that the promises allow. What comes of it is in the state when `elect` resolves.
 */
import { randomBytes } from 'node:crypto';
import { SpanKind } from '@opentelemetry/api';
import { evaluatePromises, recordLeader } from '@partita/cluster';
import type { ElectionOutcome, ElectionPlan, PromiseReply, ReplicaIdentity, Tombstone } from '@partita/cluster';
import type { Clock } from '@partita/domain';
import type { LeadEntry, LeadResult, PromiseEntry, PromiseResult, Status } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import type { Operation, TracingMode } from '@partita/rpc';
import type { Logger } from '@partita/runtime';
import type { BrokerOrders } from '../broker-orders.ts';
import type { ClusterModel } from '../cluster-model.ts';
import { beginElection, endElection } from './election-trace.ts';
import { groupBy } from '../grouping.ts';
import type { PartitionNews } from '../partition-news.ts';
import { configFromMessage } from '../peer-messages.ts';

export interface ElectionCallsOptions {
  readonly model: ClusterModel;
  readonly orders: BrokerOrders;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracing: TracingMode;
  readonly news: PartitionNews;
  /** A broker has stored that the topic is deleted: there is nothing to elect. */
  readonly onTombstone: (tombstone: Tombstone) => void;
  readonly onElected: (plan: ElectionPlan, leaderId: number, unclean: boolean) => void;
}

/** How long the other replicas are waited for once those that answered suffice: the fuller the picture, the fewer cuts. */
const PROMISE_GRACE_MS = 200;

/** Whom the promises allow to lead. */
export type Judge = (plan: ElectionPlan, replies: readonly PromiseReply[]) => ElectionOutcome;

/** Why nobody leads; absent for a plan that has its leader. */
export type Failures = ReadonlyMap<ElectionPlan, string>;

type Elected = Extract<ElectionOutcome, { kind: 'elected' }>;

interface Attempt {
  readonly plans: readonly ElectionPlan[];
  readonly judge: Judge;
  readonly operation: Operation;
}

interface Election {
  readonly plan: ElectionPlan;
  readonly outcome: Elected;
}

export class ElectionCalls {
  readonly #options: ElectionCallsOptions;

  constructor(options: ElectionCallsOptions) {
    this.#options = options;
  }

  /** `isCalled`: by an operator, whose trace it is then part of. */
  async elect(
    plans: readonly ElectionPlan[],
    judge: Judge = evaluatePromises,
    isCalled: 'called' | 'due' = 'due',
  ): Promise<Failures> {
    const { model, news, tracing } = this.#options;
    const operation = beginElection(tracing, plans, model.state, isCalled);
    try {
      const attempt = () => this.#attempt({ plans, judge, operation });
      const failures = await operation.within(() => news.during(plans, attempt));
      endElection(operation, plans, failures);
      return failures;
    } catch (error) {
      operation.fail(error);
      throw error;
    } finally {
      operation.end();
    }
  }

  async #attempt({ plans, judge, operation }: Attempt): Promise<Failures> {
    const failures = new Map<ElectionPlan, string>();
    const nonce = randomBytes(16);
    // Asked once, an epoch is spent: whatever becomes of this attempt, the next one chooses anew above it.
    for (const plan of plans) this.#seen(plan, plan.epoch);
    const elections = await this.#collectPromises({ plans, judge, operation }, nonce, failures);
    await this.#appointLeaders(elections, nonce, failures, operation);
    return failures;
  }

  async #collectPromises(
    { plans, judge, operation }: Attempt,
    nonce: Buffer,
    failures: Map<ElectionPlan, string>,
  ): Promise<Election[]> {
    const replies = new Map<ElectionPlan, PromiseReply[]>(plans.map((plan) => [plan, []]));
    const asked = plans.flatMap((plan) => plan.replicas.map((replica) => ({ plan, replica })));
    let goOn = (): void => undefined;
    const enough = new Promise<void>((resolve) => (goOn = resolve));
    const outcomeOf = (plan: ElectionPlan) => judge(plan, replies.get(plan) ?? []);
    const calls = this.#atEachBroker(
      { operation, name: 'promise' },
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
      failures.set(plan, outcome.why);
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

  async #appointLeaders(
    elections: readonly Election[],
    nonce: Buffer,
    failures: Map<ElectionPlan, string>,
    operation: Operation,
  ): Promise<void> {
    for (const { plan, outcome } of elections)
      failures.set(plan, `broker ${outcome.leader.brokerId} is elected and did not answer`);
    await this.#atEachBroker(
      { operation, name: 'lead' },
      elections,
      ({ outcome }) => outcome.leader.brokerId,
      async (brokerId, entries) => {
        const request = entries.map((election) => leadEntry(election, nonce));
        const results = await this.#options.orders.lead(brokerId, request);
        entries.forEach((election, index) => {
          if (this.#takeLeader(election, results[index])) failures.delete(election.plan);
          else failures.set(election.plan, `broker ${brokerId} is elected and does not lead`);
        });
      },
    );
  }

  /** True when the replica leads. */
  #takeLeader({ plan, outcome }: Election, result: LeadResult | undefined): boolean {
    const { model, logger, onElected } = this.#options;
    const { topicId, partition, epoch } = plan;
    const { brokerId } = outcome.leader;
    if (result?.leading !== true) {
      logger.debug({ ...place(plan), status: result?.error }, 'a replica does not lead though elected');
      this.#seen(plan, Math.max(epoch, result?.promisedEpoch ?? 0));
      return false;
    }
    const config = result.config === undefined ? outcome.config : configFromMessage(result.config);
    const led = { topicId, partition, epoch, brokerId, config, unclean: outcome.unclean };
    model.apply(recordLeader(model.state, led));
    onElected(plan, brokerId, outcome.unclean);
    return true;
  }

  #seen({ topicId, partition }: ElectionPlan, epoch: number): void {
    this.#options.model.apply([{ type: 'epoch_seen', topicId, partition, epoch }]);
  }

  /** Calls every broker once with its entries. A broker that fails costs its own entries only. */
  async #atEachBroker<Entry>(
    { operation, name }: { readonly operation: Operation; readonly name: string },
    entries: readonly Entry[],
    brokerOf: (entry: Entry) => number,
    call: (brokerId: number, entries: readonly Entry[]) => Promise<void>,
  ): Promise<void> {
    const byBroker = groupBy(entries, brokerOf);
    const calls = [...byBroker].map(async ([brokerId, own]) => {
      try {
        const attributes = { 'partita.broker.id': brokerId, 'partita.partition_count': own.length };
        await operation.part(name, attributes, () => call(brokerId, own), SpanKind.CLIENT);
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

function promiseEntry(
  { topicId, partition, epoch }: ElectionPlan,
  { replicaId }: ReplicaIdentity,
  nonce: Buffer,
): PromiseEntry {
  return { topicId, partition, replicaId, epoch, nonce };
}

function leadEntry({ plan, outcome }: Election, nonce: Buffer): LeadEntry {
  const { topicId, partition, epoch } = plan;
  const { leader, lastEpoch, logEndOffset, unclean, config } = outcome;
  const configFloor = config.configVersion;
  return {
    topicId,
    partition,
    replicaId: leader.replicaId,
    epoch,
    nonce,
    lastEpoch,
    logEndOffset,
    unclean,
    configFloor,
  };
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
