/**
 * The state of the cluster in this process, and who is told when it changes. A decision and its records are applied in one
 * synchronous step; listeners hear of it once the step is over, many changes as one.
 */
import { ClusterState, ReplicaProgress } from '@partita/cluster';
import type { BrokerRegistration, ClusterRecord, Decision } from '@partita/cluster';
import { mergeInventory } from '@partita/cluster';
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';

/** What has changed since the last time listeners were called. */
export interface ModelChange {
  /** Topics whose route may differ, gone ones included. */
  readonly topicIds: ReadonlySet<string>;
  /** Partitions whose ownership differs, by partitionKey. */
  readonly partitions: ReadonlyMap<string, TopicPartition>;
  readonly brokerIds: ReadonlySet<number>;
  readonly instances: boolean;
  readonly shards: boolean;
  readonly settings: boolean;
  /** Reassignments that are new, changed or forgotten. */
  readonly reassignmentIds: ReadonlySet<string>;
  /** Partitions with a copy that is being made, of which a replica was reported. */
  readonly copying: ReadonlyMap<string, TopicPartition>;
}

/** Changes of one partition's in-sync set are told at most this often. */
const IN_SYNC_NEWS_MS = 200;

export class ClusterModel {
  readonly state = new ClusterState();
  readonly progress = new ReplicaProgress();
  readonly #listeners = new Set<(change: ModelChange) => void>();
  #topicIds = new Set<string>();
  #partitions = new Map<string, TopicPartition>();
  #brokerIds = new Set<number>();
  #instances = false;
  #shards = false;
  #settings = false;
  #reassignmentIds = new Set<string>();
  #copying = new Map<string, TopicPartition>();
  #scheduled = false;
  /** Partitions of which only the in-sync set differs: news that may wait. */
  #inSyncPartitions = new Map<string, TopicPartition>();

  apply(records: readonly ClusterRecord[]): void {
    for (const record of records) this.applyOne(record);
  }

  readonly applyOne = (record: ClusterRecord): void => {
    this.state.apply(record);
    if (record.type === 'in_sync_changed') return this.#noteInSync(record);
    this.#note(record);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#tell());
  };

  /** Applies a decision and returns its response. */
  run<Response>({ records, response }: Decision<Response>): Response {
    this.apply(records);
    return response;
  }

  mergeInventory(registration: BrokerRegistration): void {
    mergeInventory(this.state, registration, this.applyOne);
  }

  /** Calls `listener` after changes; returns how to stop. */
  onChange(listener: (change: ModelChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** True as soon as `condition` holds, false when `timeoutMs` has passed before. */
  async until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return true;
    return new Promise((resolve) => {
      const finish = (outcome: boolean) => {
        clearTimeout(timer);
        stop();
        resolve(outcome);
      };
      const timer = setTimeout(() => finish(condition()), Math.max(0, timeoutMs));
      const stop = this.onChange(() => {
        if (condition()) finish(true);
      });
    });
  }

  /** In-sync sets decide nothing, and come and go with every pause of a disk. */
  #noteInSync({ topicId, partition }: TopicPartition): void {
    if (this.#inSyncPartitions.size === 0) setTimeout(() => this.#tellInSync(), IN_SYNC_NEWS_MS);
    this.#inSyncPartitions.set(partitionKey({ topicId, partition }), { topicId, partition });
  }

  #tellInSync(): void {
    const partitions = this.#inSyncPartitions;
    this.#inSyncPartitions = new Map();
    const topicIds = new Set([...partitions.values()].map(({ topicId }) => topicId));
    const nothing = { brokerIds: new Set<number>(), instances: false, shards: false, settings: false };
    this.#call({ topicIds, partitions, ...nothing, reassignmentIds: new Set(), copying: new Map() });
  }

  #note(record: Exclude<ClusterRecord, { type: 'in_sync_changed' }>): void {
    switch (record.type) {
      case 'topic_put':
        this.#topicIds.add(record.definition.topicId);
        return;
      case 'topic_buried':
        this.#topicIds.add(record.tombstone.topicId);
        this.progress.forget(record.tombstone.topicId);
        return;
      case 'topic_activated':
      case 'topic_deleting':
        this.#topicIds.add(record.topicId);
        return;
      case 'config_learned':
      case 'leader_known':
      case 'leader_lost':
      case 'partition_lossy':
        this.#topicIds.add(record.topicId);
        this.#partitions.set(partitionKey(record), { topicId: record.topicId, partition: record.partition });
        return;
      case 'replicas_reported':
        this.#noteReports(record.brokerId, record.complete);
        this.#noteCopies(record.replicas);
        return;
      case 'broker_put':
        this.#brokerIds.add(record.broker.brokerId);
        return;
      case 'instance_put':
      case 'instance_removed':
        this.#instances = true;
        return;
      case 'shard_assigned':
        this.#shards = true;
        return;
      case 'settings_put':
        this.#settings = true;
        for (const id of record.settings.removedBrokerIds) this.#noteRemoved(id);
        return;
      case 'reassignment_put':
        this.#reassignmentIds.add(record.reassignment.reassignmentId);
        return;
      case 'reassignment_removed':
        this.#reassignmentIds.add(record.reassignmentId);
        return;
      case 'replicas_deleted':
      case 'replica_deleted':
      case 'epoch_seen':
      case 'disk_reported':
      case 'broker_rumoured':
        return;
    }
  }

  /** A broker that has come may let partitions elect that could not: their state is part of the routes. */
  #noteReports(brokerId: number, complete: boolean): void {
    if (!complete) return;
    for (const { topicId, partition } of this.state.broker(brokerId)?.replicas.values() ?? []) {
      if (this.state.partition(topicId, partition)?.live !== false) continue;
      this.#topicIds.add(topicId);
      this.#partitions.set(partitionKey({ topicId, partition }), { topicId, partition });
    }
  }

  #noteRemoved(brokerId: number): void {
    if (this.state.broker(brokerId) === undefined) this.#brokerIds.add(brokerId);
  }

  /** How far a copy is decides what its partition's next step is. */
  #noteCopies(replicas: readonly TopicPartition[]): void {
    for (const { topicId, partition } of replicas) {
      if ((this.state.partition(topicId, partition)?.config?.learners.length ?? 0) === 0) continue;
      this.#copying.set(partitionKey({ topicId, partition }), { topicId, partition });
    }
  }

  #tell(): void {
    const change: ModelChange = {
      topicIds: this.#topicIds,
      partitions: this.#partitions,
      brokerIds: this.#brokerIds,
      instances: this.#instances,
      shards: this.#shards,
      settings: this.#settings,
      reassignmentIds: this.#reassignmentIds,
      copying: this.#copying,
    };
    this.#topicIds = new Set();
    this.#partitions = new Map();
    this.#brokerIds = new Set();
    this.#instances = false;
    this.#shards = false;
    this.#settings = false;
    this.#reassignmentIds = new Set();
    this.#copying = new Map();
    this.#scheduled = false;
    this.#call(change);
  }

  #call(change: ModelChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}
