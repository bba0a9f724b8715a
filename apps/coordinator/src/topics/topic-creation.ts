/**
 * Creating topics: directory, replicas, leaders, then the topic is there, all at once for clients. What is cut off midway is
 * finished or removed by `reconcile`; until then nobody sees it.
 */
import { buryTopic, createTopic, creationFate, isUnfinished, partitionStatus } from '@partita/cluster';
import type { ClusterPartition, CreateTopicCommand, ReplicaConfig, TopicDefinition } from '@partita/cluster';
import { BROKER_HEARTBEAT_MS, PartitaError, PEER_CALL_MS_MAX, TOPIC_CREATION_MS_MAX } from '@partita/domain';
import type { Clock, Random } from '@partita/domain';
import type { LeaseToken, MetadataStore } from '@partita/metadata-store';
import type { Logger } from '@partita/runtime';
import type { BrokerOrders, NewReplica } from '../broker-orders.ts';
import type { ClusterModel } from '../cluster-model.ts';
import { topicEntry } from '../directory/directory-codec.ts';
import type { DirectoryPublisher } from '../directory/directory-publisher.ts';
import { groupBy } from '../grouping.ts';
import type { Lease } from '../directory/lease.ts';

export type TopicRequest = Omit<CreateTopicCommand, 'nowMs' | 'newId'>;

export interface TopicCreationsOptions {
  readonly store: MetadataStore;
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly orders: BrokerOrders;
  readonly publisher: DirectoryPublisher;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * How long another coordinator may go on making replicas of a topic, and a broker keep silent that it has one. Two that each
 * have a Redis of their own both believe to be active: what one is making the other knows from brokers only.
 */
const OTHERS_CREATION_MS_MAX = 2 * PEER_CALL_MS_MAX + 2 * BROKER_HEARTBEAT_MS;

export class TopicCreations {
  readonly #options: TopicCreationsOptions;
  /** Topics whose replicas are being made now, by id. */
  readonly #making = new Map<string, Promise<void>>();
  /** Since when topics are seen here that somebody else is making, or was, by id; monotonic milliseconds. */
  #othersSinceMs = new Map<string, number>();

  constructor(options: TopicCreationsOptions) {
    this.#options = options;
  }

  /** Throws what `create` would refuse now. */
  check(request: TopicRequest): void {
    this.#options.lease.requireWritable();
    createTopic(this.#options.model.state, this.#command(request));
  }

  /** Resolves with the topic's id when clients can use it. A repeat with the same request id joins the first. */
  async create(request: TopicRequest): Promise<string> {
    const { model, lease } = this.#options;
    const token = lease.requireWritable();
    const response = model.run(createTopic(model.state, this.#command(request)));
    const { topicId } = response;
    if (response.kind === 'created') {
      const making = this.#make(token, response.definition, response.configs).finally(() =>
        this.#making.delete(topicId),
      );
      this.#making.set(topicId, making);
    }
    await this.#making.get(topicId);
    const done = () => !isUnfinished(model.state.topicById(topicId));
    const inTime = await model.until(
      () => done() || this.#activate(topicId, ({ live }) => live),
      TOPIC_CREATION_MS_MAX,
    );
    if (inTime && model.state.topicById(topicId) !== undefined) return topicId;
    throw new PartitaError(
      'TIMED_OUT',
      `topic "${request.name}" has its replicas, but not every partition has a leader yet; it goes on: look with topic describe, or repeat with the same request_id`,
      { topic: request.name, topic_id: topicId },
    );
  }

  /** Finishes or removes what was cut off: by a coordinator that died, or a broker that did not answer in time. */
  reconcile(): void {
    const { model, lease, clock } = this.#options;
    if (lease.anchoredToken() === undefined) return;
    const nowMs = clock.monotonicMs();
    const othersSinceMs = new Map<string, number>();
    for (const topic of [...model.state.topics()]) {
      const { topicId } = topic.definition;
      if (!isUnfinished(topic) || this.#making.has(topicId)) continue;
      const sinceMs = this.#othersSinceMs.get(topicId) ?? nowMs;
      othersSinceMs.set(topicId, sinceMs);
      const fate = creationFate(model.state, topic);
      // A partition whose broker is away had its replica made: the topic does not wait for it.
      if (fate === 'complete')
        this.#activate(topicId, (partition) => partitionStatus(model.state, topicId, partition) !== 'electing');
      if (fate === 'abandon' && nowMs - sinceMs > OTHERS_CREATION_MS_MAX) this.#abandon(topic.definition);
    }
    this.#othersSinceMs = othersSinceMs;
  }

  #command(request: TopicRequest): CreateTopicCommand {
    const { clock, random } = this.#options;
    return { ...request, nowMs: clock.wallMs(), newId: () => random.uuid() };
  }

  async #make(token: LeaseToken, definition: TopicDefinition, configs: readonly ReplicaConfig[]): Promise<void> {
    const { store, model, lease } = this.#options;
    const topic = model.state.topicById(definition.topicId);
    try {
      const outcome = topic === undefined ? undefined : await store.createTopic(token, topicEntry(topic));
      if (outcome?.status === 'rolled_back') {
        lease.lostWrites(outcome);
        throw new PartitaError(
          'REBUILDING',
          'the directory has lost writes and is being written anew: repeat in a few seconds',
        );
      }
      await this.#makeReplicas(definition, configs);
    } catch (error) {
      lease.storeFailed(error);
      // A broker that did not answer may have made its replicas and said so since: once all are there, leaders are elected
      // and the topic stays.
      if (topic !== undefined && creationFate(model.state, topic) === 'complete') return;
      this.#abandon(definition);
      throw error;
    }
  }

  async #makeReplicas(definition: TopicDefinition, configs: readonly ReplicaConfig[]): Promise<void> {
    const wanted = configs.flatMap((config, partition) =>
      config.replicas.map(({ brokerId, replicaId }) => ({ brokerId, replica: { partition, replicaId, config } })),
    );
    const calls = [...groupBy(wanted, ({ brokerId }) => brokerId)].map(async ([brokerId, entries]) => {
      const replicas = entries.map(({ replica }) => replica);
      await this.#options.orders.createReplicas(brokerId, definition, replicas);
      this.#noteReplicas(brokerId, definition.topicId, replicas);
    });
    // All are waited for, so that none is still under way when the topic is removed again.
    const failed = (await Promise.allSettled(calls)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** The broker will report them with its next heartbeat; the election need not wait for that. */
  #noteReplicas(brokerId: number, topicId: string, made: readonly NewReplica[]): void {
    const replicas = made.map(({ partition, replicaId, config }) => ({
      topicId,
      partition,
      replicaId,
      config,
      promisedEpoch: 0,
      lastEpoch: 0,
      logEndOffset: 0n,
      highWatermark: 0n,
      logStartOffset: 0n,
      logBytes: 0n,
      suspect: false,
      leadingEpoch: 0,
      followingId: 0,
      configFloor: 0,
    }));
    this.#options.model.apply([{ type: 'replicas_reported', brokerId, replicas, complete: false }]);
    for (const { partition, config } of made)
      this.#options.model.apply([{ type: 'config_learned', topicId, partition, config }]);
  }

  /** True when the topic is active, by this call or before. */
  #activate(topicId: string, isReady: (partition: ClusterPartition) => boolean): boolean {
    const { model, publisher, logger } = this.#options;
    const topic = model.state.topicById(topicId);
    if (topic === undefined || !isUnfinished(topic)) return topic !== undefined;
    if (!topic.partitions.every(isReady)) return false;
    model.apply([{ type: 'topic_activated', topicId }]);
    publisher.publishTopic(topicId);
    logger.info({ topic: topic.name, topicId, partitions: topic.partitions.length }, 'topic created');
    return true;
  }

  /** Nobody has seen the topic, so it may go: its id never comes back, and brokers are told by `TopicDeletions`. */
  #abandon(definition: TopicDefinition): void {
    const { model, publisher, clock, random, logger } = this.#options;
    const { topicId, name } = definition;
    const tombstone = { topicId, name, deleteId: random.uuid(), deleteTimeMs: clock.wallMs() };
    const records = buryTopic(model.state, tombstone);
    model.apply(records);
    publisher.publishTombstone(tombstone, records);
    logger.warn({ topic: name, topicId }, 'a topic that could not be created is removed');
  }
}
