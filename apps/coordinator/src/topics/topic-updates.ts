/** Changing settings: one step in memory, then on the brokers that hold the topic, whoever misses it until it has it. */
import { mergeNewTopic, storedByEnough, updateQuorum, updateTopic } from '@partita/cluster';
import type { ClusterTopic, TopicDefinition, UpdateTopicCommand } from '@partita/cluster';
import { PartitaError } from '@partita/domain';
import type { Logger } from '@partita/runtime';
import type { BrokerOrders } from '../broker-orders.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { DirectoryPublisher } from '../directory/directory-publisher.ts';
import type { Lease } from '../directory/lease.ts';

export interface TopicUpdatesOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly orders: BrokerOrders;
  readonly publisher: DirectoryPublisher;
  readonly logger: Logger;
}

export class TopicUpdates {
  readonly #options: TopicUpdatesOptions;
  /** Brokers that hold an older version, by topic id. */
  readonly #behind = new Map<string, Set<number>>();
  /** The call to a broker that is on its way. */
  readonly #pushing = new Map<number, Promise<void>>();

  constructor(options: TopicUpdatesOptions) {
    this.#options = options;
  }

  /** The settings that `update` would set. Throws what it would refuse. */
  check(command: UpdateTopicCommand): TopicDefinition {
    this.#options.lease.requireWritable();
    return updateTopic(this.#options.model.state, command).response;
  }

  /** Resolves with the topic when so many brokers have stored the change that no election misses it; all get it. */
  async update(command: UpdateTopicCommand): Promise<ClusterTopic> {
    const { model, lease, publisher } = this.#options;
    lease.requireWritable();
    const { topicId } = model.run(updateTopic(model.state, command));
    publisher.publishTopic(topicId);
    const topic = model.state.topicById(topicId);
    if (topic === undefined) throw new PartitaError('INTERNAL', `topic ${topicId} is updated and was not there`);
    for (const brokerId of holders(topic)) this.#markBehind(brokerId, topicId);
    await Promise.all(holders(topic).map((brokerId) => this.#push(brokerId)));
    const behind = this.#behind.get(topicId);
    if (storedByEnough(topic, updateQuorum, (brokerId) => behind?.has(brokerId) !== true)) return topic;
    throw new PartitaError(
      'TIMED_OUT',
      `topic "${topic.name}" is changed, but broker ${[...(behind ?? [])].join(', ')} has not stored it yet; it is told again by itself`,
      { topic: topic.name },
    );
  }

  /** A broker came with these versions: it is sent what is newer. */
  brokerRegistered(brokerId: number, definitions: readonly TopicDefinition[]): void {
    for (const { topicId, version } of definitions) {
      const known = this.#options.model.state.topicById(topicId);
      if (known !== undefined && known.definition.version > version) this.#markBehind(brokerId, topicId);
    }
  }

  /** A broker has stored a version that this coordinator may not know: another one has made or changed the topic. */
  found(definition: TopicDefinition): void {
    const { model, publisher } = this.#options;
    if (mergeNewTopic(model.state, definition, model.applyOne)) publisher.publishTopic(definition.topicId);
  }

  reconcile(): void {
    if (!this.#options.lease.mayOrder()) return;
    for (const brokerId of new Set([...this.#behind.values()].flatMap((ids) => [...ids])))
      if (!this.#pushing.has(brokerId)) void this.#push(brokerId);
  }

  #markBehind(brokerId: number, topicId: string): void {
    const brokerIds = this.#behind.get(topicId) ?? new Set();
    this.#behind.set(topicId, brokerIds.add(brokerId));
  }

  /** Sends what the broker misses as of now, after a call that is on its way and may not hold it. */
  async #push(brokerId: number): Promise<void> {
    for (let before = this.#pushing.get(brokerId); before !== undefined; before = this.#pushing.get(brokerId))
      await before;
    const pushing = this.#pushNow(brokerId).finally(() => this.#pushing.delete(brokerId));
    this.#pushing.set(brokerId, pushing);
    await pushing;
  }

  async #pushNow(brokerId: number): Promise<void> {
    const { model, orders, logger } = this.#options;
    if (model.state.broker(brokerId)?.facts.status === 'down') return;
    const topicIds = [...this.#behind].flatMap(([topicId, brokerIds]) => (brokerIds.has(brokerId) ? [topicId] : []));
    const definitions = topicIds.flatMap((topicId) => model.state.topicById(topicId)?.definition ?? []);
    try {
      if (definitions.length > 0) await orders.updateTopicConfigs(brokerId, definitions);
      for (const topicId of topicIds) this.#stored(brokerId, topicId, definitions);
    } catch (error) {
      logger.warn(
        { err: error, brokerId, topics: definitions.length },
        'a broker did not store changed settings; it is told again',
      );
    }
  }

  /** A version that came while the call was on its way is still to be sent. */
  #stored(brokerId: number, topicId: string, sent: readonly TopicDefinition[]): void {
    const version = sent.find((definition) => definition.topicId === topicId)?.version;
    const current = this.#options.model.state.topicById(topicId)?.definition.version;
    if (current !== version) return;
    const brokerIds = this.#behind.get(topicId);
    brokerIds?.delete(brokerId);
    if (brokerIds?.size === 0) this.#behind.delete(topicId);
  }
}

function holders(topic: ClusterTopic): number[] {
  const ids = topic.partitions.flatMap(({ config }) =>
    [...(config?.replicas ?? []), ...(config?.learners ?? [])].map(({ brokerId }) => brokerId),
  );
  return [...new Set(ids)];
}
