/**
 * The picture that a coordinator has of its cluster: topics, who holds and leads their partitions, brokers, instances,
 * group shards. Changed by `apply` only. Topics and brokers are changed in place, since a topic may have ten thousand
 * partitions; a partition is replaced whole, so that a reader who keeps one keeps a consistent one.
 */
import { invariant, partitionKey } from '@partita/domain';
import { UNCHANGED_SETTINGS } from './cluster-settings.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import type { ReplicaConfig, ReplicaReport, Tombstone, TopicDefinition } from './inventory.ts';
import { ReassignmentBook } from './replica-sets/reassignment-book.ts';
import type { BrokerFacts, ClusterRecord, InstanceFacts, TopicLife } from './records.ts';

/** A partition as known. Invariant: epoch <= epochSeen. */
export interface ClusterPartition {
  readonly partition: number;
  readonly hashMin: number;
  readonly hashMax: number;
  /** Undefined until the directory or a broker tells. */
  readonly config: ReplicaConfig | undefined;
  /** Highest epoch seen anywhere, promises included. */
  readonly epochSeen: number;
  /** Epoch of the last known leader; 0 = never had one. */
  readonly epoch: number;
  /** Last known leader; 0 = never had one. */
  readonly leader: number;
  /** True = that leader leads now. */
  readonly live: boolean;
  readonly inSync: readonly number[];
  /** Grows with each change of the in-sync set within an epoch. */
  readonly inSyncVersion: number;
  /** True = the leader was made with possible loss; ends with its epoch. */
  readonly lossy: boolean;
}

export interface ClusterTopic {
  readonly definition: TopicDefinition;
  /** Name under which clients know it; `name~conflict~id` when an older topic has its own. */
  readonly name: string;
  readonly life: TopicLife;
  /** By number. */
  readonly partitions: readonly ClusterPartition[];
}

export interface ClusterBroker {
  readonly facts: BrokerFacts;
  /** What it last reported, by partitionKey. */
  readonly replicas: ReadonlyMap<string, ReplicaReport>;
  readonly freeBytes: bigint;
}

interface OwnTopic extends ClusterTopic {
  life: TopicLife;
  readonly partitions: ClusterPartition[];
}

interface OwnBroker extends ClusterBroker {
  facts: BrokerFacts;
  replicas: Map<string, ReplicaReport>;
  freeBytes: bigint;
}

type Of<Type extends ClusterRecord['type']> = Extract<ClusterRecord, { type: Type }>;

export class ClusterState {
  /** Changed by `apply` only. */
  readonly reassignments = new ReassignmentBook();
  readonly #topics = new Map<string, OwnTopic>();
  readonly #idsByName = new Map<string, string>();
  readonly #tombstones = new Map<string, Tombstone>();
  readonly #brokers = new Map<number, OwnBroker>();
  readonly #rumouredBrokerIds = new Set<number>();
  readonly #instances = new Map<string, InstanceFacts>();
  readonly #shards = new Map<number, string>();
  #settings: ClusterSettings = UNCHANGED_SETTINGS;

  topics(): Iterable<ClusterTopic> {
    return this.#topics.values();
  }

  topicById(topicId: string): ClusterTopic | undefined {
    return this.#topics.get(topicId);
  }

  topicByName(name: string): ClusterTopic | undefined {
    const id = this.#idsByName.get(name);
    return id === undefined ? undefined : this.#topics.get(id);
  }

  partition(topicId: string, partition: number): ClusterPartition | undefined {
    return this.#topics.get(topicId)?.partitions[partition];
  }

  tombstones(): Iterable<Tombstone> {
    return this.#tombstones.values();
  }

  tombstone(topicId: string): Tombstone | undefined {
    return this.#tombstones.get(topicId);
  }

  brokers(): Iterable<ClusterBroker> {
    return this.#brokers.values();
  }

  broker(brokerId: number): ClusterBroker | undefined {
    return this.#brokers.get(brokerId);
  }

  settings(): ClusterSettings {
    return this.#settings;
  }

  /** Brokers that somebody has heard of. */
  knownBrokerIds(): number[] {
    return [...new Set([...this.#rumouredBrokerIds, ...this.#brokers.keys()])].sort((a, b) => a - b);
  }

  /** Brokers that somebody has heard of and that have not been heard themselves. */
  missingBrokerIds(): number[] {
    return this.knownBrokerIds().filter((id) => (this.#brokers.get(id)?.facts.status ?? 'down') === 'down');
  }

  instances(): Iterable<InstanceFacts> {
    return this.#instances.values();
  }

  instance(instanceId: string): InstanceFacts | undefined {
    return this.#instances.get(instanceId);
  }

  /** Instance that shall own a group shard; it may have no session at the moment. */
  shards(): ReadonlyMap<number, string> {
    return this.#shards;
  }

  apply(record: ClusterRecord): void {
    switch (record.type) {
      case 'topic_put':
        return this.#putTopic(record);
      case 'topic_activated':
        return this.#setLife(record.topicId, 'active');
      case 'topic_deleting':
        return this.#setLife(record.topicId, 'deleting');
      case 'topic_buried':
        return this.#buryTopic(record.tombstone);
      case 'config_learned':
        return this.#changePartition(record, ({ config }) => ({ config: newerConfig(config, record.config) }));
      case 'epoch_seen':
        return this.#changePartition(record, (known) => ({ epochSeen: Math.max(known.epochSeen, record.epoch) }));
      case 'leader_known':
        return this.#setLeader(record);
      case 'leader_lost':
        return this.#changePartition(record, () => ({ live: false }));
      case 'partition_lossy':
        return this.#changePartition(record, ({ epoch }) => ({ lossy: epoch === record.epoch }));
      case 'in_sync_changed':
        return this.#changePartition(record, ({ epoch }) => {
          invariant(epoch === record.epoch, `in-sync set of epoch ${record.epoch} in epoch ${epoch}`);
          return { inSync: record.inSync, inSyncVersion: record.inSyncVersion };
        });
      case 'broker_put':
        return this.#putBroker(record.broker);
      case 'replicas_reported':
        return this.#reportReplicas(record);
      case 'replicas_deleted':
        return this.#dropReplicas(record);
      case 'replica_deleted':
        this.#brokers.get(record.brokerId)?.replicas.delete(partitionKey(record));
        return;
      case 'reassignment_put':
        return this.reassignments.put(record.reassignment);
      case 'reassignment_removed':
        return this.reassignments.remove(record.reassignmentId);
      case 'disk_reported':
        return this.#reportDisk(record);
      case 'broker_rumoured':
        return this.#hearOf(record.brokerIds);
      case 'settings_put':
        return this.#putSettings(record.settings);
      case 'instance_put':
        this.#instances.set(record.instance.instanceId, record.instance);
        return;
      case 'instance_removed':
        this.#instances.delete(record.instanceId);
        return;
      case 'shard_assigned':
        this.#shards.set(record.shard, record.instanceId);
        return;
    }
  }

  #putTopic({ definition, name, life }: Of<'topic_put'>): void {
    const known = this.#topics.get(definition.topicId);
    invariant(
      !this.#tombstones.has(definition.topicId),
      `topic ${definition.topicId} was deleted and cannot come back`,
    );
    invariant(
      known === undefined || known.definition.version <= definition.version,
      `topic ${definition.topicId} goes back in version`,
    );
    const owner = this.#idsByName.get(name);
    invariant(owner === undefined || owner === definition.topicId, `topic name ${name} is taken by ${owner}`);
    if (known !== undefined) this.#idsByName.delete(known.name);
    this.#idsByName.set(name, definition.topicId);
    const partitions = definition.ranges.map(
      ({ hashMin, hashMax }, partition) =>
        known?.partitions[partition] ?? unknownPartition(partition, hashMin, hashMax),
    );
    this.#topics.set(definition.topicId, { definition, name, life, partitions });
  }

  #setLife(topicId: string, life: TopicLife): void {
    const topic = this.#topics.get(topicId);
    if (topic !== undefined) topic.life = life;
  }

  #buryTopic(tombstone: Tombstone): void {
    const topic = this.#topics.get(tombstone.topicId);
    if (topic !== undefined) this.#idsByName.delete(topic.name);
    this.#topics.delete(tombstone.topicId);
    this.#tombstones.set(tombstone.topicId, tombstone);
  }

  #setLeader(record: Of<'leader_known'>): void {
    this.#changePartition(record, (known) => {
      const { epoch, leader, inSync, inSyncVersion, live } = record;
      invariant(
        epoch >= known.epoch,
        `partition ${partitionKey(record)} goes back from epoch ${known.epoch} to ${epoch}`,
      );
      invariant(
        epoch > known.epoch || known.leader === 0 || known.leader === leader,
        `partition ${partitionKey(record)} has two leaders in epoch ${epoch}: ${known.leader} and ${leader}`,
      );
      const lossy = epoch === known.epoch && known.lossy;
      return { epoch, leader, inSync, inSyncVersion, live, lossy, epochSeen: Math.max(known.epochSeen, epoch) };
    });
  }

  #changePartition(
    { topicId, partition }: { readonly topicId: string; readonly partition: number },
    change: (known: ClusterPartition) => Partial<ClusterPartition>,
  ): void {
    const topic = this.#topics.get(topicId);
    const known = topic?.partitions[partition];
    if (topic === undefined || known === undefined) return;
    topic.partitions[partition] = { ...known, ...change(known) };
  }

  #putBroker(facts: BrokerFacts): void {
    const known = this.#brokers.get(facts.brokerId);
    if (known === undefined) this.#brokers.set(facts.brokerId, { facts, replicas: new Map(), freeBytes: 0n });
    else known.facts = facts;
  }

  #hearOf(brokerIds: readonly number[]): void {
    const removed = new Set(this.#settings.removedBrokerIds);
    for (const id of brokerIds) if (!removed.has(id)) this.#rumouredBrokerIds.add(id);
  }

  #putSettings(settings: ClusterSettings): void {
    invariant(settings.version > this.#settings.version, `settings go back to version ${settings.version}`);
    this.#settings = settings;
    for (const id of settings.removedBrokerIds) {
      this.#rumouredBrokerIds.delete(id);
      if (this.#brokers.get(id)?.facts.status === 'down') this.#brokers.delete(id);
    }
  }

  #reportDisk({ brokerId, freeBytes }: Of<'disk_reported'>): void {
    const broker = this.#brokers.get(brokerId);
    if (broker !== undefined) broker.freeBytes = freeBytes;
  }

  #dropReplicas({ brokerId, topicId }: Of<'replicas_deleted'>): void {
    const replicas = this.#brokers.get(brokerId)?.replicas;
    for (const [key, report] of replicas ?? []) {
      if (report.topicId === topicId) replicas?.delete(key);
    }
  }

  #reportReplicas({ brokerId, replicas, complete }: Of<'replicas_reported'>): void {
    const broker = this.#brokers.get(brokerId);
    if (broker === undefined) return;
    if (complete) broker.replicas = new Map();
    for (const report of replicas) broker.replicas.set(partitionKey(report), report);
  }
}

/** Sets that are told are committed, so of one version there is one; an older one is old news. */
function newerConfig(known: ReplicaConfig | undefined, told: ReplicaConfig): ReplicaConfig {
  return known !== undefined && known.configVersion >= told.configVersion ? known : told;
}

function unknownPartition(partition: number, hashMin: number, hashMax: number): ClusterPartition {
  return {
    partition,
    hashMin,
    hashMax,
    config: undefined,
    epochSeen: 0,
    epoch: 0,
    leader: 0,
    live: false,
    inSync: [],
    inSyncVersion: 0,
    lossy: false,
  };
}
