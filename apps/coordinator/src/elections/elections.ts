/**
 * When to elect: wherever a leader is missing and enough replicas answer, many partitions in one attempt (election-calls.ts).
 * What fails is tried again later, each partition with a back-off and jitter of its own, so that two coordinators which both
 * believe to be active do not meet for ever.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { planElection, planElections } from '@partita/cluster';
import type { ElectionPlan } from '@partita/cluster';
import { partitionKey, PartitaError, PEER_CALL_MS_MAX } from '@partita/domain';
import type { Clock, Random, TopicPartition } from '@partita/domain';
import { backoffDelayMs } from '@partita/rpc/client';
import type { Logger } from '@partita/runtime';
import { chunks } from '../broker-orders.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { ElectionMeter } from '../coordinator-metrics.ts';
import type { ElectionCalls, Judge } from './election-calls.ts';
import { groupBy } from '../grouping.ts';
import type { Lease } from '../directory/lease.ts';

export interface ElectionsOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly calls: ElectionCalls;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: ElectionMeter;
}

/** Without the store another coordinator may be electing too: leave it the first seconds. */
const UNANCHORED_DELAY_MS = 3000;

/**
 * Calls under way at once to the same brokers. All at once, the deadline of the last would count the work on those before
 * it, and ten thousand partitions would time out and begin again; with two, a broker always has one to go on with.
 */
const CALL_COUNT_MAX = 2;

/** Attempts at an election that an operator asks for: the first may meet promises that nobody here knew of. */
const ATTEMPT_COUNT_MAX = 3;
const BUSY_POLL_MS = 20;

/** Who is to lead a partition, if its log is as good as any. */
export interface Wish extends TopicPartition {
  readonly wanted: number;
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

  /**
   * One election that an operator asks for, whether there is a leader or not; why it failed, or undefined. Waits for one that
   * is under way. `without` is a broker that is not asked, and cannot win. TIMED_OUT when that does not end, LEADER_NOT_AVAILABLE while no replica set is known.
   */
  async electNow(at: TopicPartition, judge: Judge | undefined, wanted = 0, without = 0): Promise<string | undefined> {
    const key = partitionKey(at);
    const endMs = this.#options.clock.monotonicMs() + 2 * PEER_CALL_MS_MAX;
    while (this.#busy.has(key)) {
      if (this.#options.clock.monotonicMs() > endMs)
        throw new PartitaError('TIMED_OUT', 'an election of this partition is under way and does not end: repeat', {});
      await sleep(BUSY_POLL_MS);
    }
    this.#busy.add(key);
    const beganMs = this.#options.clock.monotonicMs();
    try {
      let why: string | undefined;
      for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt += 1) {
        const whole = this.#plan(at, wanted);
        const plan = { ...whole, replicas: whole.replicas.filter(({ brokerId }) => brokerId !== without) };
        why = (await this.#options.calls.elect([plan], judge, 'called')).get(plan);
        if (why === undefined) break;
      }
      this.#options.meter.ended(why === undefined, this.#options.clock.monotonicMs() - beganMs);
      return why;
    } finally {
      this.#busy.delete(key);
      this.run();
    }
  }

  /**
   * Keeps every other election away from the partitions while work on them goes on; those with one under way are left out.
   */
  async holding<Place extends TopicPartition, Result>(
    places: readonly Place[],
    work: (held: readonly Place[]) => Promise<Result>,
  ): Promise<Result> {
    const held = places.filter((place) => !this.#busy.has(partitionKey(place)));
    for (const place of held) this.#busy.add(partitionKey(place));
    try {
      return await work(held);
    } finally {
      for (const place of held) this.#busy.delete(partitionKey(place));
      this.run();
    }
  }

  /**
   * Elections of partitions that are held, each with a wish that decides between equal logs. What fails is tried again at
   * once: its leader has given way already, perhaps. What fails still has no leader as far as anybody knows.
   */
  async electHeld(wishes: readonly Wish[]): Promise<void> {
    const beganMs = this.#options.clock.monotonicMs();
    let left = wishes;
    for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX && left.length > 0; attempt += 1) {
      const plans = new Map(left.map((wish) => [wish, this.#plan(wish, wish.wanted)]));
      const failures = await this.#options.calls.elect([...plans.values()]);
      left = left.filter((wish) => failures.has(plans.get(wish) as ElectionPlan));
    }
    const { model, meter, clock } = this.#options;
    const tookMs = clock.monotonicMs() - beganMs;
    for (const wish of wishes) meter.ended(!left.includes(wish), tookMs);
    model.apply(left.map(({ topicId, partition }) => ({ type: 'leader_lost', topicId, partition })));
  }

  #plan({ topicId, partition }: TopicPartition, wanted: number): ElectionPlan {
    const { state } = this.#options.model;
    const known = state.partition(topicId, partition);
    const plan = known === undefined ? undefined : planElection(state, topicId, known, wanted);
    if (plan !== undefined) return plan;
    throw new PartitaError('LEADER_NOT_AVAILABLE', 'nobody has told yet which replicas this partition has: repeat', {
      partition: String(partition),
    });
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
    const beganMs = this.#options.clock.monotonicMs();
    try {
      await this.#options.calls.elect(plans);
    } catch (error) {
      this.#options.logger.error({ err: error }, 'an election failed');
    } finally {
      for (const plan of plans) this.#finish(plan, beganMs);
    }
  }

  /** By the state, not by the answer: a heartbeat of the new leader may have come before it. */
  #finish(plan: ElectionPlan, beganMs: number): void {
    const key = partitionKey(plan);
    this.#busy.delete(key);
    const hasLeader = this.#options.model.state.partition(plan.topicId, plan.partition)?.live === true;
    this.#options.meter.ended(hasLeader, this.#options.clock.monotonicMs() - beganMs);
    if (hasLeader) {
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
