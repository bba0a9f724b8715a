/**
 * Deleting topics: hidden at once, gone when tombstones are on so many brokers that no election can miss them, and then from
 * the directory. A broker that was away is told when it comes back, because its inventory names a topic that has a tombstone.
 */
import { buryTopic, deleteTopic, deletionQuorum, mergeTombstone, storedByEnough } from '@partita/cluster';
import type { ClusterTopic, Tombstone } from '@partita/cluster';
import { BROKER_HEARTBEAT_MS, PartitaError } from '@partita/domain';
import type { Clock, Random } from '@partita/domain';
import type { Logger } from '@partita/runtime';
import type { BrokerOrders } from '../broker-orders.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { DirectoryPublisher } from '../directory/directory-publisher.ts';
import type { Lease } from '../directory/lease.ts';

export interface TopicDeletionsOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly orders: BrokerOrders;
  readonly publisher: DirectoryPublisher;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Brokers that are there are heard within it. */
const HEARD_MS_MAX = 2 * BROKER_HEARTBEAT_MS;

export class TopicDeletions {
  readonly #options: TopicDeletionsOptions;
  /** Deletions begun here and not yet durable. */
  readonly #begun = new Map<string, Tombstone>();
  /** Brokers that have stored the tombstone of a deletion begun here. */
  readonly #stored = new Map<string, Set<number>>();
  /** Orders on their way, `<broker>/<topic id>`. */
  readonly #busy = new Set<string>();

  constructor(options: TopicDeletionsOptions) {
    this.#options = options;
  }

  /** Resolves with the topic when its deletion is durable. */
  async delete(name: string, etag: string): Promise<ClusterTopic> {
    const { model, lease, clock, random } = this.#options;
    lease.requireWritable();
    if (!this.#isKnown(name)) await this.#requireAbsence(name);
    const command = { name, etag, deleteId: random.uuid(), nowMs: clock.wallMs() };
    const decided = model.run(deleteTopic(model.state, command));
    const tombstone = this.#begun.get(decided.topicId) ?? decided;
    const topic = model.state.topicById(tombstone.topicId);
    if (topic === undefined)
      throw new PartitaError('INTERNAL', `topic ${tombstone.topicId} is deleted and was not there`);
    this.#begun.set(tombstone.topicId, tombstone);
    if (await this.#bury(tombstone)) return topic;
    throw new PartitaError(
      'TIMED_OUT',
      `topic "${name}" is being deleted, but a broker that holds it does not answer; the deletion goes on by itself`,
      { topic: name, topic_id: tombstone.topicId },
    );
  }

  /**
   * Who is told that a topic is not there takes its deletion for done, so only who would know says so: a directory that was
   * read for the first time may have lost topics that brokers hold. Throws REBUILDING when a broker is not heard.
   */
  async #requireAbsence(name: string): Promise<void> {
    const { model, lease } = this.#options;
    await model.until(() => lease.lacksNothing, HEARD_MS_MAX);
    lease.requireWritable();
    if (!this.#isKnown(name)) lease.requireAllHeard(name);
  }

  #isKnown(nameOrId: string): boolean {
    const { state } = this.#options.model;
    return (state.topicByName(nameOrId) ?? state.topicById(nameOrId)) !== undefined;
  }

  /** A broker knows a topic to be deleted that this coordinator did not: another one has deleted it. */
  found(tombstone: Tombstone): void {
    const { model, publisher } = this.#options;
    // One that was begun here is buried when enough brokers have it, not when the first one tells.
    if (this.#begun.has(tombstone.topicId)) return;
    const name = model.state.topicById(tombstone.topicId)?.name ?? tombstone.name;
    const records = mergeTombstone(model.state, { ...tombstone, name });
    if (records.length === 0) return;
    model.apply(records);
    publisher.publishTombstone({ ...tombstone, name }, records);
    this.reconcile();
  }

  /** Goes on with what is unfinished, and tells brokers of tombstones that they do not know. */
  reconcile(): void {
    const { model, lease } = this.#options;
    if (!lease.mayOrder()) return;
    for (const tombstone of this.#begun.values()) void this.#bury(tombstone);
    for (const { facts, replicas } of model.state.brokers()) {
      if (facts.status === 'down') continue;
      const topicIds = new Set([...replicas.values()].map(({ topicId }) => topicId));
      for (const topicId of topicIds) {
        const tombstone = model.state.tombstone(topicId);
        if (tombstone !== undefined) void this.#order(facts.brokerId, tombstone);
      }
    }
  }

  /** True when the deletion is durable: then the topic is gone for good. */
  async #bury(tombstone: Tombstone): Promise<boolean> {
    const { model, publisher, logger } = this.#options;
    const { topicId } = tombstone;
    const topic = model.state.topicById(topicId);
    if (topic === undefined) {
      this.#begun.delete(topicId);
      return true;
    }
    const holders = new Set(
      topic.partitions.flatMap(({ config }) => config?.replicas.map(({ brokerId }) => brokerId) ?? []),
    );
    const stored = this.#stored.get(topicId) ?? new Set<number>();
    this.#stored.set(topicId, stored);
    const order = async (brokerId: number) => {
      if (await this.#order(brokerId, tombstone)) stored.add(brokerId);
    };
    // The others are told as soon as they answer.
    await Promise.all([...holders].filter((brokerId) => !stored.has(brokerId)).map(order));
    if (!storedByEnough(topic, deletionQuorum, (brokerId) => stored.has(brokerId))) return false;
    this.#stored.delete(topicId);
    if (!this.#begun.delete(topicId)) return true;
    const records = buryTopic(model.state, tombstone);
    model.apply(records);
    publisher.publishTombstone(tombstone, records);
    logger.info({ topic: tombstone.name, topicId }, 'topic deleted');
    return true;
  }

  async #order(brokerId: number, tombstone: Tombstone): Promise<boolean> {
    const { model, orders, logger } = this.#options;
    const key = `${brokerId}/${tombstone.topicId}`;
    if (this.#busy.has(key)) return false;
    this.#busy.add(key);
    try {
      await orders.deleteTopic(brokerId, tombstone);
      model.apply([{ type: 'replicas_deleted', brokerId, topicId: tombstone.topicId }]);
      return true;
    } catch (error) {
      logger.debug(
        { err: error, brokerId, topicId: tombstone.topicId },
        'a broker did not take a tombstone; it is told again',
      );
      return false;
    } finally {
      this.#busy.delete(key);
    }
  }
}
