/**
 * Brings replica sets from what they are to what is wanted, one step of a partition at a time (replica-change.ts says which).
 * A step is decided from the state and begun in one synchronous turn; what has become of it is learned from its answer or from
 * the brokers' reports, and then everything is asked again. Only while the directory is in step with memory: what was asked
 * for is known then, and nothing of this is urgent.
 */
import { placementBrokers, planReplicaChange, wantedReplicas } from '@partita/cluster';
import type { ClusterState, ReplicaStep } from '@partita/cluster';
import { partitionKey, PartitaError, REPLICA_CHANGE_COUNT_MAX } from '@partita/domain';
import type { Clock, Random, TopicPartition } from '@partita/domain';
import { backoffDelayMs } from '@partita/rpc/client';
import type { Logger } from '@partita/runtime';
import type { ClusterModel, ModelChange } from '../cluster-model.ts';
import { CopySlots } from './copy-slots.ts';
import type { Lease } from '../directory/lease.ts';
import type { Reassignments } from './reassignments.ts';
import type { Begun, ReplicaSteps } from './replica-steps.ts';

export interface ReplicaChangesOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly steps: ReplicaSteps;
  readonly reassignments: Reassignments;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Brokers that may take replicas, counted once for many partitions. */
type Brokers = () => ReturnType<typeof placementBrokers>;

/** All partitions are looked at this often, for what no event tells. */
const SWEEP_MS = 2000;
/** So many in one turn of the event loop. */
const SWEEP_PART_COUNT = 250;
/** Partitions not begun yet that are looked at in one turn: the others wait for room anyway. */
const LOOK_COUNT_MAX = 200;
/** Elections disturb writers: one that did not move the leader is not repeated before. */
const ELECTION_PAUSE_MS = 1000;

export class ReplicaChanges {
  readonly #options: ReplicaChangesOptions;
  /** Partitions whose set is not as wanted, by partitionKey: those with a step taken or a copy under way, and others. */
  readonly #begun = new Map<string, TopicPartition>();
  readonly #waiting = new Map<string, TopicPartition>();
  /** Those with a step under way. */
  readonly #busy = new Set<string>();
  /** Brokers that a proposal under way gives a copy to begin. */
  readonly #beginning = new Map<string, { readonly at: TopicPartition; readonly brokerId: number }>();
  readonly #failures = new Map<string, { count: number; notBeforeMs: number }>();
  #sweepAtMs = 0;
  /** What is still to be looked at of a sweep under way. */
  #sweeping: Iterator<TopicPartition, undefined> | undefined;
  #scheduled = false;

  constructor(options: ReplicaChangesOptions) {
    this.#options = options;
    options.model.onChange((change) => this.#note(change));
    options.lease.onChange(() => {
      this.#sweepAtMs = 0;
      this.#soon();
    });
  }

  /** Partitions whose replicas are not as they are wanted, as far as was seen. */
  get pendingCount(): number {
    return this.#begun.size + this.#waiting.size;
  }

  /** Takes every step that is due. */
  run(): void {
    const { lease, clock, reassignments, model } = this.#options;
    if (lease.anchoredToken() === undefined) {
      this.#begun.clear();
      this.#waiting.clear();
      this.#sweeping = undefined;
      this.#sweepAtMs = 0;
      return;
    }
    reassignments.settle();
    const brokers = once(() => placementBrokers(model.state));
    this.#sweep(brokers, clock.monotonicMs());
    if (this.#begun.size + this.#waiting.size === 0) return;
    const slots = new CopySlots(model.state, this.#begun.values());
    for (const { at, brokerId } of this.#beginning.values()) slots.take(at, brokerId);
    for (const [key, at] of [...this.#begun]) this.#look(key, at, slots, brokers);
    let left = LOOK_COUNT_MAX;
    for (const [key, at] of this.#inTurn()) {
      if (left === 0 || this.#busy.size >= REPLICA_CHANGE_COUNT_MAX) return;
      left -= 1;
      this.#look(key, at, slots, brokers);
    }
  }

  /** Repairs come before moves. */
  #inTurn(): readonly (readonly [string, TopicPartition])[] {
    const { reassignments } = this.#options.model.state;
    const isMove = ([, { topicId, partition }]: readonly [string, TopicPartition]) =>
      reassignments.openMovesOf(topicId, partition).length > 0;
    const all = [...this.#waiting];
    return [...all.filter((entry) => !isMove(entry)), ...all.filter(isMove)];
  }

  #note({ topicIds, partitions, copying, brokerIds, reassignmentIds }: ModelChange): void {
    const told = new Set([...partitions.values()].map(({ topicId }) => topicId));
    const isTopicChanged = [...topicIds].some((topicId) => !told.has(topicId));
    if (isTopicChanged || brokerIds.size > 0 || reassignmentIds.size > 0) this.#sweepAtMs = 0;
    const isAwaited = [...partitions.keys()].some((key) => this.#begun.has(key) || this.#waiting.has(key));
    if (this.#sweepAtMs === 0 || isAwaited || copying.size > 0) this.#soon();
  }

  /** Many changes are one turn. */
  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.run();
    });
  }

  /** A part of the partitions that no step is known for; the next part follows at once. */
  #sweep(brokers: Brokers, nowMs: number): void {
    if (this.#sweeping === undefined) {
      if (nowMs < this.#sweepAtMs) return;
      this.#sweepAtMs = nowMs + SWEEP_MS;
      this.#sweeping = activePartitions(this.#options.model.state);
    }
    for (let count = 0; count < SWEEP_PART_COUNT; count += 1) {
      const at = this.#sweeping.next().value;
      if (at === undefined) {
        this.#sweeping = undefined;
        return;
      }
      this.#sort(at, brokers);
    }
    this.#soon();
  }

  #sort(at: TopicPartition, brokers: Brokers): void {
    const key = partitionKey(at);
    if (this.#begun.has(key) || this.#waiting.has(key)) return;
    const { config } = this.#options.model.state.partition(at.topicId, at.partition) ?? {};
    if ((config?.learners.length ?? 0) > 0) this.#begun.set(key, at);
    else if (this.#plan(at, brokers).kind !== 'done') this.#waiting.set(key, at);
  }

  #plan({ topicId, partition }: TopicPartition, brokers: Brokers): ReplicaStep {
    const { model, clock, random } = this.#options;
    const wanted = wantedReplicas(model.state, topicId, partition, clock.wallMs(), brokers);
    if (wanted === undefined) return { kind: 'done' };
    return planReplicaChange(model.state, topicId, partition, wanted, () => random.uuid());
  }

  /** Asks for the next step of a partition, and begins it when there is room. */
  #look(key: string, at: TopicPartition, slots: CopySlots, brokers: Brokers): void {
    if (this.#busy.has(key) || this.#busy.size >= REPLICA_CHANGE_COUNT_MAX) return;
    if (this.#options.clock.monotonicMs() < (this.#failures.get(key)?.notBeforeMs ?? 0)) return;
    const step = this.#plan(at, brokers);
    if (step.kind === 'done') {
      for (const known of [this.#begun, this.#waiting, this.#failures]) known.delete(key);
      return;
    }
    if (step.kind === 'wait') return;
    const copyTo = this.#newLearnerOf(at, step);
    if (copyTo !== undefined) {
      if (!slots.isFree(at, copyTo)) return;
      slots.take(at, copyTo);
    }
    const begun = this.#options.steps.begin(at, step);
    if (begun === undefined) return;
    if (copyTo !== undefined) this.#beginning.set(key, { at, brokerId: copyTo });
    void this.#follow(key, at, begun);
  }

  /** Broker that a proposal gives a copy to begin; undefined for every other step. */
  #newLearnerOf({ topicId, partition }: TopicPartition, step: ReplicaStep): number | undefined {
    if (step.kind !== 'propose') return undefined;
    const before = this.#options.model.state.partition(topicId, partition)?.config?.learners ?? [];
    return step.config.learners.find(({ replicaId }) => before.every((known) => known.replicaId !== replicaId))
      ?.brokerId;
  }

  /** Never rejects. */
  async #follow(key: string, at: TopicPartition, { name, done }: Begun): Promise<void> {
    const { logger, clock, random } = this.#options;
    this.#busy.add(key);
    this.#waiting.delete(key);
    this.#begun.set(key, at);
    try {
      await done;
      this.#failures.delete(key);
    } catch (error) {
      const count = (this.#failures.get(key)?.count ?? 0) + 1;
      const delayMs = backoffDelayMs(count - 1, random) + (name === 'move-leader' ? ELECTION_PAUSE_MS : 0);
      this.#failures.set(key, { count, notBeforeMs: clock.monotonicMs() + delayMs });
      const fields = { err: error, ...at, step: name, count };
      if (error instanceof PartitaError) logger.debug(fields, 'a step of a replica set failed; it is tried again');
      else logger.error(fields, 'a step of a replica set failed');
    } finally {
      this.#busy.delete(key);
      this.#beginning.delete(key);
      this.#soon();
    }
  }
}

function* activePartitions(state: ClusterState): Generator<TopicPartition, undefined> {
  for (const { definition, partitions, life } of state.topics()) {
    if (life !== 'active') continue;
    for (const { partition } of partitions) yield { topicId: definition.topicId, partition };
  }
  return undefined;
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}
