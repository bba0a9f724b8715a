/** Steps of replica sets as orders to brokers, and what is known once they are carried out. */
import type { ClusterPartition, ReplicaConfig, ReplicaIdentity, ReplicaReport, ReplicaStep } from '@partita/cluster';
import { partitionKey, PartitaError } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { StateLines } from '@partita/runtime';
import type { BrokerOrders } from '../broker-orders.ts';
import type { ClusterModel } from '../cluster-model.ts';

/** Has one of the brokers lead, without the leader's writes being lost or refused; why not, or undefined when it does. */
export type MoveLeader = (at: TopicPartition, brokerIds: readonly number[]) => Promise<string | undefined>;

export interface ReplicaStepsOptions {
  readonly model: ClusterModel;
  readonly orders: BrokerOrders;
  readonly moveLeader: MoveLeader;
  readonly lines: StateLines;
}

/** A step under way. */
export interface Begun {
  readonly name: ReplicaStep['kind'];
  /** Rejects when it was not carried out, or nobody knows. */
  readonly done: Promise<void>;
}

export class ReplicaSteps {
  readonly #options: ReplicaStepsOptions;

  constructor(options: ReplicaStepsOptions) {
    this.#options = options;
  }

  /** Begins the step that the state asks for now. Undefined when it has to wait for the state to become clear. */
  begin(at: TopicPartition, step: ReplicaStep): Begun | undefined {
    const known = this.#options.model.state.partition(at.topicId, at.partition);
    if (known?.live !== true) return undefined;
    const done = this.#begin(at, step, known);
    return done === undefined ? undefined : { name: step.kind, done };
  }

  #begin(at: TopicPartition, step: ReplicaStep, known: ClusterPartition): Promise<void> | undefined {
    switch (step.kind) {
      case 'propose':
        return this.#propose(at, step.config, known);
      case 'make':
        return this.#isOvertaken(at, known) ? undefined : this.#make(at, step.replica, step.config, known);
      case 'delete':
        return this.#isOvertaken(at, known) ? undefined : this.#delete(at, step, known);
      case 'move-leader':
        return this.#moveLeader(at, step.brokerIds);
      case 'done':
      case 'wait':
        return undefined;
    }
  }

  /**
   * What is made or deleted promises the epoch of a leader that knows the set: the live one, unless a replica has promised more
   * and may have the set from there.
   */
  #isOvertaken(at: TopicPartition, { epoch }: ClusterPartition): boolean {
    const key = partitionKey(at);
    return [...this.#options.model.state.brokers()].some(
      ({ facts, replicas }) => facts.status !== 'down' && (replicas.get(key)?.promisedEpoch ?? 0) > epoch,
    );
  }

  async #propose(at: TopicPartition, config: ReplicaConfig, { leader, epoch }: ClusterPartition): Promise<void> {
    const { model, orders, lines } = this.#options;
    await orders.proposeConfig(leader, { ...at, leaderEpoch: epoch, config });
    model.apply([{ type: 'config_learned', ...at, config }]);
    const { configVersion: version, minInSyncReplicas } = config;
    lines.write('replica set changed', {
      topic: model.state.topicById(at.topicId)?.name ?? at.topicId,
      partition: at.partition,
      epoch,
      version,
      replicas: config.replicas.map(({ brokerId }) => brokerId),
      learners: config.learners.map(({ brokerId }) => brokerId),
      min_in_sync: minInSyncReplicas,
    });
  }

  async #make(
    at: TopicPartition,
    { brokerId, replicaId }: ReplicaIdentity,
    config: ReplicaConfig,
    { epoch }: ClusterPartition,
  ): Promise<void> {
    const { model, orders } = this.#options;
    const definition = model.state.topicById(at.topicId)?.definition;
    if (definition === undefined) return;
    const { partition } = at;
    await orders.createReplicas(brokerId, definition, [{ partition, replicaId, config, promisedEpoch: epoch }]);
    // The broker reports it with its next heartbeat; it may have done so already.
    if (model.state.broker(brokerId)?.replicas.get(partitionKey(at))?.replicaId === replicaId) return;
    const replicas = [blank(at, replicaId, config, epoch)];
    model.apply([{ type: 'replicas_reported', brokerId, replicas, complete: false }]);
  }

  async #delete(
    at: TopicPartition,
    { brokerId, replicaId, configVersion }: Extract<ReplicaStep, { kind: 'delete' }>,
    { epoch }: ClusterPartition,
  ): Promise<void> {
    const { model, orders } = this.#options;
    await orders.deleteReplica(brokerId, { ...at, replicaId, configVersion, leaderEpoch: epoch });
    if (model.state.broker(brokerId)?.replicas.get(partitionKey(at))?.replicaId !== replicaId) return;
    model.apply([{ type: 'replica_deleted', brokerId, ...at }]);
  }

  async #moveLeader(at: TopicPartition, brokerIds: readonly number[]): Promise<void> {
    const why = await this.#options.moveLeader(at, brokerIds);
    if (why === undefined) return;
    throw new PartitaError('LEADER_NOT_AVAILABLE', `the leader did not move: ${why}`, {
      partition: String(at.partition),
    });
  }
}

function blank(at: TopicPartition, replicaId: string, config: ReplicaConfig, promisedEpoch: number): ReplicaReport {
  const { topicId, partition } = at;
  const ends = { logEndOffset: 0n, highWatermark: 0n, logStartOffset: 0n, logBytes: 0n, lastEpoch: 0 };
  const follows = { suspect: false, leadingEpoch: 0, followingId: 0 };
  return {
    topicId,
    partition,
    replicaId,
    promisedEpoch,
    ...ends,
    ...follows,
    config,
    configFloor: config.configVersion,
  };
}
