/** Every topic and replica that this broker holds, and the way from a request to the partition it names. */
import { PartitaError } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { DirectoryView } from '@partita/rpc/server';
import type { DamagedReplica } from './damaged-replica.ts';
import { leaderElsewhere, unknownHere } from './not-here.ts';
import type { NamedPartition } from './not-here.ts';
import type { PartitionActor } from './partition-actor.ts';
import type { KnownTopic } from './topic-settings.ts';

interface HeldTopic {
  topic: KnownTopic;
  readonly actors: Map<number, PartitionActor>;
  readonly damaged: Map<number, DamagedReplica>;
}

export class PartitionRegistry {
  readonly #byId = new Map<string, HeldTopic>();
  readonly #idByName = new Map<string, string>();
  readonly #directory: DirectoryView;
  readonly #brokerId: number;

  constructor(directory: DirectoryView, brokerId: number) {
    this.#directory = directory;
    this.#brokerId = brokerId;
  }

  get topics(): KnownTopic[] {
    return [...this.#byId.values()].map((held) => held.topic);
  }

  *actors(): Generator<PartitionActor> {
    for (const { actors } of this.#byId.values()) yield* actors.values();
  }

  /** Replicas whose files cannot be opened. */
  *damaged(): Generator<DamagedReplica> {
    for (const { damaged } of this.#byId.values()) yield* damaged.values();
  }

  /** Number of replicas that can be used. */
  get size(): number {
    let count = 0;
    for (const { actors } of this.#byId.values()) count += actors.size;
    return count;
  }

  topic(topicId: string): KnownTopic | undefined {
    return this.#byId.get(topicId)?.topic;
  }

  /** Takes in a topic or a newer version of it. */
  putTopic(topic: KnownTopic): void {
    const { topicId, topic: name } = topic.config;
    const held = this.#byId.get(topicId);
    if (held === undefined) {
      this.#byId.set(topicId, { topic, actors: new Map(), damaged: new Map() });
    } else {
      held.topic = topic;
      for (const actor of held.actors.values()) actor.changeTopic(topic);
    }
    // A topic made again under its name wins over the one that is being deleted.
    const other = this.#byId.get(this.#idByName.get(name) ?? '');
    if (other === undefined || other.topic.config.createTimeMs <= topic.config.createTimeMs) {
      this.#idByName.set(name, topicId);
    }
  }

  putActor(actor: PartitionActor): void {
    const held = this.#byId.get(actor.topicId);
    if (held === undefined) throw new RangeError(`topic ${actor.topicId} is put before its replicas`);
    held.actors.set(actor.partition, actor);
  }

  putDamaged(replica: DamagedReplica): void {
    this.#byId.get(replica.topicId)?.damaged.set(replica.partition, replica);
  }

  /** The replica when its files cannot be opened. */
  damagedReplica(topicId: string, partition: number): DamagedReplica | undefined {
    return this.#byId.get(topicId)?.damaged.get(partition);
  }

  /** Forgets a replica that is no longer here, its topic not. */
  removeReplica({ topicId, partition }: TopicPartition): void {
    const held = this.#byId.get(topicId);
    held?.actors.delete(partition);
    held?.damaged.delete(partition);
  }

  /** Forgets a topic; returns its replicas, which the caller closes. */
  removeTopic(topicId: string): PartitionActor[] {
    const held = this.#byId.get(topicId);
    if (held === undefined) return [];
    this.#byId.delete(topicId);
    const name = held.topic.config.topic;
    if (this.#idByName.get(name) === topicId) this.#idByName.delete(name);
    return [...held.actors.values()];
  }

  /** The replica, or undefined when this broker has none. */
  actor(topicId: string, partition: number): PartitionActor | undefined {
    return this.#byId.get(topicId)?.actors.get(partition);
  }

  /** The replica that a request names. Throws TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, NOT_LEADER or CORRUPT_BATCH. */
  find(named: NamedPartition): PartitionActor {
    if (named.topicId === '' && named.topic === '') {
      throw new PartitaError('INVALID_REQUEST', 'topic_id and topic are both empty; name the topic', {
        field: 'topic',
        value: '',
        range: '1..249 characters',
      });
    }
    const topicId = named.topicId === '' ? this.#idByName.get(named.topic) : named.topicId;
    const actor = topicId === undefined ? undefined : this.actor(topicId, named.partition);
    if (actor !== undefined) return actor;
    const held = topicId === undefined ? undefined : this.#byId.get(topicId);
    if (held === undefined) throw unknownHere(this.#directory, named);
    const { topic, partitions } = held.topic.config;
    if (named.partition < 0 || named.partition >= partitions.length) {
      const message = `topic "${topic}" has partitions 0 to ${partitions.length - 1}, not ${named.partition}`;
      const metadata = { topic, partition: String(named.partition), partition_count: String(partitions.length) };
      throw new PartitaError('PARTITION_NOT_FOUND', message, metadata);
    }
    const elsewhere = leaderElsewhere(
      this.#directory,
      { ...named, topicId: held.topic.config.topicId, topic },
      this.#brokerId,
    );
    const damage = held.damaged.get(named.partition)?.error;
    // Where another replica leads, the damage here is nobody's concern but the operator's.
    throw damage !== undefined && elsewhere.metadata['leader'] === undefined ? damage : elsewhere;
  }

  /** NOT_LEADER for a replica that this broker holds, with what the directory knows. */
  notLeader(actor: PartitionActor): PartitaError {
    if (actor.isClosed && !actor.isRetired && this.actor(actor.topicId, actor.partition) !== actor) {
      const { topic } = actor.topic.config;
      return new PartitaError('TOPIC_NOT_FOUND', `topic "${topic}" was deleted`, { topic });
    }
    const named = { topicId: actor.topicId, topic: actor.topic.config.topic, partition: actor.partition };
    return leaderElsewhere(this.#directory, named, this.#brokerId);
  }
}
