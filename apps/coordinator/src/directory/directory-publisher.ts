/**
 * Writes to the metadata store what has changed in memory: ownership, brokers, group shards, topics. It never decides and
 * never holds anybody up: what could not be written stays marked and is written when the store is back.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { METADATA_CHUNK_COUNT_MAX, partitionKey, PartitaError } from '@partita/domain';
import type { Clock, TopicPartition } from '@partita/domain';
import type { ClusterRecord, Tombstone } from '@partita/cluster';
import type { LeaseToken, MetadataStore, PartitionPublication, RolledBack } from '@partita/metadata-store';
import type { Logger } from '@partita/runtime';
import { settingsEntry } from './cluster-settings-codec.ts';
import type { ClusterModel, ModelChange } from '../cluster-model.ts';
import { brokerEntry, groupHints, partitionPublication, tombstoneEntry, topicEntry } from './directory-codec.ts';
import type { Lease } from './lease.ts';
import { movesEntry } from './reassignment-codec.ts';

export interface DirectoryPublisherOptions {
  readonly store: MetadataStore;
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long whoever asked for moves waits for the store, and how often that is looked at. */
const MOVES_WAIT_MS_MAX = 2000;
const MOVES_POLL_MS = 5;

export class DirectoryPublisher {
  readonly #options: DirectoryPublisherOptions;
  /** What is to be written; bounded by what the cluster has. */
  readonly #partitions = new Map<string, TopicPartition>();
  readonly #topicIds = new Set<string>();
  /** Topics that a new holder looks at once; they give way to what has changed. */
  readonly #unseenTopicIds = new Set<string>();
  readonly #tombstones = new Map<string, Tombstone>();
  readonly #brokerIds = new Set<number>();
  /** Topics that the store refuses, because it remembers their deletion or gave their name away. */
  readonly #refusedTopicIds = new Set<string>();
  readonly #reassignmentIds = new Set<string>();
  #shards = false;
  #settings = false;
  #running = false;
  /** Something was marked while a run was under way. */
  #again = false;
  #anchoredAs: number | undefined;

  constructor(options: DirectoryPublisherOptions) {
    this.#options = options;
    options.model.onChange((change) => this.#note(change));
    options.lease.onChange(() => this.run());
    options.lease.onRewriting((token) => this.#rewriting(token));
  }

  /** Things that are to be written; those that a write under way has taken do not count. */
  get pendingCount(): number {
    const topics = [this.#topicIds, this.#unseenTopicIds, this.#partitions, this.#tombstones];
    const marked = [...topics, this.#brokerIds, this.#reassignmentIds];
    return marked.reduce((sum, { size }) => sum + size, Number(this.#shards) + Number(this.#settings));
  }

  /** Writes a topic: that it is there, its life (creating -> active), its settings. */
  publishTopic(topicId: string): void {
    this.#topicIds.add(topicId);
    this.run();
  }

  /** Writes that a topic is gone, and who has its name from now on: `records` are those of its burial. */
  publishTombstone(tombstone: Tombstone, records: readonly ClusterRecord[]): void {
    this.#tombstones.set(tombstone.topicId, tombstone);
    for (const record of records) if (record.type === 'topic_put') this.#topicIds.add(record.definition.topicId);
    this.run();
  }

  /** Resolves when the directory has the reassignment as it is now, or when it takes none for a while. */
  async movesWritten(reassignmentId: string): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + MOVES_WAIT_MS_MAX;
    this.#reassignmentIds.add(reassignmentId);
    this.run();
    while (this.#running || this.#reassignmentIds.size > 0) {
      if (clock.monotonicMs() > endMs) return;
      await sleep(MOVES_POLL_MS);
    }
  }

  /** Writes what is marked, if the store takes it now. */
  run(): void {
    const token = this.#options.lease.anchoredToken();
    if (token === undefined) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    if (this.#anchoredAs !== token.number) this.#markAll(token);
    this.#running = true;
    this.#again = false;
    void this.#writeAll(token)
      .catch((error: unknown) => {
        const { logger } = this.#options;
        if (error instanceof PartitaError) {
          logger.debug({ err: error }, 'the directory will be written later');
          this.#options.lease.storeFailed(error);
        } else logger.error({ err: error }, 'writing the directory failed');
        this.#again = false;
      })
      .finally(() => {
        this.#running = false;
        if (this.#again) this.run();
      });
  }

  /** A new holder writes everything once: what is there already costs the store a comparison. */
  #markAll({ number }: LeaseToken): void {
    const { state } = this.#options.model;
    this.#anchoredAs = number;
    for (const { definition, partitions } of state.topics()) {
      this.#unseenTopicIds.add(definition.topicId);
      for (const { partition } of partitions) this.#mark({ topicId: definition.topicId, partition });
    }
    for (const tombstone of state.tombstones()) this.#tombstones.set(tombstone.topicId, tombstone);
    for (const { facts } of state.brokers()) this.#brokerIds.add(facts.brokerId);
    for (const brokerId of state.settings().removedBrokerIds) this.#brokerIds.add(brokerId);
    for (const { reassignmentId } of state.reassignments.all()) this.#reassignmentIds.add(reassignmentId);
    this.#shards = true;
    this.#settings = true;
  }

  /**
   * The directory is being written anew as memory is now, so topics need not be written one by one; undefined = that failed,
   * and all of them may.
   */
  #rewriting(token: LeaseToken | undefined): void {
    this.#anchoredAs = token?.number;
    if (token === undefined) return;
    for (const marked of [this.#topicIds, this.#unseenTopicIds, this.#partitions, this.#tombstones]) marked.clear();
    this.#refusedTopicIds.clear();
  }

  #mark(partition: TopicPartition): void {
    this.#partitions.set(partitionKey(partition), partition);
  }

  #note(change: ModelChange): void {
    for (const partition of change.partitions.values()) this.#mark(partition);
    for (const brokerId of change.brokerIds) this.#brokerIds.add(brokerId);
    for (const reassignmentId of change.reassignmentIds) this.#reassignmentIds.add(reassignmentId);
    this.#shards ||= change.shards;
    this.#settings ||= change.settings;
    this.run();
  }

  async #writeAll(token: LeaseToken): Promise<void> {
    const still = () => this.#options.lease.anchoredToken()?.number === token.number;
    while (still() && this.#tombstones.size > 0) await this.#writeTombstone(token);
    while (still() && this.#topicIds.size > 0) {
      await this.#writeTopic(token, this.#topicIds);
      await nextTurn();
    }
    if (still() && this.#settings) await this.#writeSettings(token);
    while (still() && this.#brokerIds.size > 0) await this.#writeBroker(token);
    while (still() && this.#reassignmentIds.size > 0) await this.#writeMoves(token);
    // As many rounds as there are chunks now: a topic that the store refuses leaves its partitions marked.
    for (let rounds = Math.ceil(this.#partitions.size / METADATA_CHUNK_COUNT_MAX); rounds > 0 && still(); rounds -= 1) {
      await this.#writePartitions(token);
      // The embedded store answers at once: without this, thousands of partitions would be one stall.
      await nextTurn();
    }
    if (still() && this.#shards) await this.#writeShards(token);
    await this.#writeUnseen(token, still);
  }

  /** Until something changes: that is written first. */
  async #writeUnseen(token: LeaseToken, still: () => boolean): Promise<void> {
    while (still() && this.#unseenTopicIds.size > 0 && !this.#again) {
      await this.#writeTopic(token, this.#unseenTopicIds);
      await nextTurn();
    }
  }

  async #writeTombstone(token: LeaseToken): Promise<void> {
    const [tombstone] = this.#tombstones.values();
    if (tombstone === undefined) return;
    const outcome = await this.#options.store.deleteTopic(token, tombstoneEntry(tombstone));
    if (this.#lost(outcome)) return;
    this.#tombstones.delete(tombstone.topicId);
  }

  async #writeTopic(token: LeaseToken, marked: Set<string>): Promise<void> {
    const { store, model, logger } = this.#options;
    const [topicId] = marked;
    const topic = topicId === undefined ? undefined : model.state.topicById(topicId);
    if (topicId === undefined) return;
    // Taken off first: a change that comes while this is on its way marks it again.
    marked.delete(topicId);
    if (topic === undefined) return;
    try {
      const entry = topicEntry(topic);
      let outcome = await store.createTopic(token, entry);
      if (outcome.status === 'unchanged') outcome = await store.updateTopic(token, entry);
      if (outcome.status !== 'rolled_back' && topic.life === 'active')
        outcome = await store.activateTopic(token, topicId);
      if (this.#lost(outcome)) this.#topicIds.add(topicId);
    } catch (error) {
      if (
        error instanceof PartitaError &&
        (error.reason === 'TOPIC_ALREADY_EXISTS' || error.reason === 'TOPIC_NOT_FOUND')
      ) {
        logger.warn({ err: error, topic: topic.name, topicId }, 'the directory does not take this topic');
        this.#refusedTopicIds.add(topicId);
        return;
      }
      this.#topicIds.add(topicId);
      throw error;
    }
  }

  async #writeBroker(token: LeaseToken): Promise<void> {
    const [brokerId] = this.#brokerIds;
    if (brokerId === undefined) return;
    this.#brokerIds.delete(brokerId);
    const facts = this.#options.model.state.broker(brokerId)?.facts;
    const { store } = this.#options;
    await this.#orAgain(
      () => (facts === undefined ? store.removeBroker(token, brokerId) : store.putBroker(token, brokerEntry(facts))),
      () => this.#brokerIds.add(brokerId),
    );
  }

  async #writeSettings(token: LeaseToken): Promise<void> {
    this.#settings = false;
    const entry = settingsEntry(this.#options.model.state.settings());
    if (entry === undefined) return;
    await this.#orAgain(
      () => this.#options.store.putSettings(token, entry),
      () => (this.#settings = true),
    );
  }

  /** One by one: each may be long. */
  async #writeMoves(token: LeaseToken): Promise<void> {
    const [reassignmentId] = this.#reassignmentIds;
    if (reassignmentId === undefined) return;
    this.#reassignmentIds.delete(reassignmentId);
    const reassignment = this.#options.model.state.reassignments.get(reassignmentId);
    const entry = reassignment === undefined ? { reassignmentId, value: '' } : movesEntry(reassignment);
    await this.#orAgain(
      () => this.#options.store.putMoves(token, [entry]),
      () => this.#reassignmentIds.add(reassignmentId),
    );
  }

  async #writeShards(token: LeaseToken): Promise<void> {
    this.#shards = false;
    await this.#orAgain(
      () => this.#options.store.putGroups(token, groupHints(this.#options.model.state)),
      () => (this.#shards = true),
    );
  }

  async #writePartitions(token: LeaseToken): Promise<void> {
    const { store, model, clock } = this.#options;
    const taken = [...this.#partitions].slice(0, METADATA_CHUNK_COUNT_MAX);
    for (const [key] of taken) this.#partitions.delete(key);
    const publications = taken.flatMap(([, { topicId, partition }]) => {
      const known = model.state.partition(topicId, partition);
      return known?.config === undefined ? [] : [partitionPublication(model.state, topicId, known, clock.wallMs())];
    });
    if (publications.length === 0) return;
    const markAgain = () => taken.forEach(([, partition]) => this.#mark(partition));
    await this.#orAgain(async () => {
      const outcome = await store.publishPartitions(token, publications);
      if (outcome.status === 'rolled_back') return outcome;
      this.#judgeStale(publications.filter((_, index) => outcome.outcomes[index] === 'stale'));
      for (const [index, result] of outcome.outcomes.entries()) {
        const publication = publications[index];
        if (result !== 'no_topic' || publication === undefined) continue;
        const { topicId } = publication;
        if (model.state.topicById(topicId) === undefined || this.#refusedTopicIds.has(topicId)) continue;
        // A topic that only brokers knew: the next round writes it, then its partitions.
        this.#topicIds.add(topicId);
        this.#mark(publication);
        this.#again = true;
      }
      return outcome;
    }, markAgain);
  }

  /** Who alone writes the directory has never written what is above its own memory. */
  #judgeStale(refused: readonly PartitionPublication[]): void {
    const names = refused.map(
      ({ topicId, partition }) => `partition ${topicId}/${partition}: newer than it was written`,
    );
    if (names.length > 0) this.#options.lease.foundForeign(names.slice(0, 5));
  }

  /** Marks again what was not written. */
  async #orAgain(write: () => Promise<{ readonly status: string } | RolledBack>, markAgain: () => void): Promise<void> {
    let written = false;
    try {
      written = !this.#lost(await write());
    } finally {
      if (!written) markAgain();
    }
  }

  #lost(outcome: { readonly status: string } | RolledBack): boolean {
    if (!('generation' in outcome)) return false;
    this.#options.lease.lostWrites(outcome);
    return true;
  }
}
