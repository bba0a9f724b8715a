/**
 * Makes, recovers and removes replicas. The journal says which ones there are (`replica/<topic id>/<partition>`), what
 * they promised, which records are deleted (`start/<topic id>/<partition>`) and which topics (`tombstone/<topic id>`);
 * each topic's config lies in its directory. A replica is made config first, journal entry second, log last; a topic is
 * deleted tombstone first. So whatever a crash leaves is completed at the next start. Changes run one after the other.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asPartitaError, isUuid, METADATA_TOMBSTONE_MS, PartitaError, partitionKey } from '@partita/domain';
import type { Clock, TopicPartition } from '@partita/domain';
import { diskErrorCode, readTopicConfigFile, writeTopicConfigFile } from '@partita/log';
import { FlushMode, ReplicaMeta, TopicConfig, TopicTombstone } from '@partita/protocol';
import type { KeptFloor, ProposeConfigRequest, ProposeConfigResponse, ReplicaToCreate } from '@partita/protocol';
import { currentConfig } from '@partita/replication';
import type { ReplicaConfig } from '@partita/replication';
import type { Logger } from '@partita/runtime';
import { DamagedReplica, putAside } from './damaged-replica.ts';
import type { DataDirectory } from './data-directory.ts';
import { inParallel } from './in-parallel.ts';
import { FLOOR_PREFIX, REPLICA_PREFIX, replicaKey, START_PREFIX, startKey, TOMBSTONE_PREFIX } from './journal-keys.ts';
import { keptFloor } from './kept-floors.ts';
import { openActor } from './open-actor.ts';
import type { ActorHost } from './partition-actor.ts';
import type { PartitionRegistry } from './partition-registry.ts';
import { proposeConfig } from './config-proposal.ts';
import { knownConfigs } from './peer-messages.ts';
import { badField, creationFault, diskFull, firstMeta } from './replica-creation.ts';
import { deleteReplica, finishReplicaDeletions, removeReplicaFiles } from './replica-deletion.ts';
import type { DeletionOrder } from './replica-deletion.ts';
import { asStorageFailure } from './storage-failure.ts';
import { knownTopic } from './topic-settings.ts';
import type { KnownTopic } from './topic-settings.ts';

/** Logs opened at once: each reads a little and may sync. */
const OPEN_CONCURRENCY_MAX = 16;
/** Tries to open a replica whose files read as damaged. */
const OPEN_TRY_COUNT_MAX = 3;
/** A log start in the journal: int64, little-endian. */
const START_BYTES = 8;

const NO_PROGRESS = { cleanShutdown: false, knownSynced: 0n, highWatermark: 0n };

/** A replica as the journal knows it. */
interface StoredReplica extends TopicPartition {
  meta: ReplicaMeta;
}

export interface ReplicaStoreOptions {
  readonly directory: DataDirectory;
  readonly registry: PartitionRegistry;
  readonly host: ActorHost;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly segmentBytesDefault: number;
  /** A config, or a deletion, was stored: durable, and known to nobody else yet. */
  readonly onTopic: (config: TopicConfig) => void;
  readonly onTombstone: (tombstone: TopicTombstone) => void;
}

export class ReplicaStore {
  readonly #options: ReplicaStoreOptions;
  /** The change under way and those behind it; their number is bounded by the peer listener's streams. */
  #last: Promise<unknown> = Promise.resolve();
  /** Partitions whose replica was begun in this run and did not open. */
  readonly #unfinished = new Set<string>();

  constructor(options: ReplicaStoreOptions) {
    this.#options = options;
  }

  get tombstones(): TopicTombstone[] {
    return this.#entries(TOMBSTONE_PREFIX).map(([, value]) => TopicTombstone.decode(value));
  }

  /** Id of the deletion of a topic; undefined when it was not deleted here. */
  deleteIdOf(topicId: string): string | undefined {
    const stored = this.#options.directory.journal.get(`${TOMBSTONE_PREFIX}${topicId}`);
    return stored === undefined ? undefined : TopicTombstone.decode(stored).deleteId;
  }

  /** What is kept of replicas of the partition that were deleted here. */
  floorOf(place: TopicPartition): KeptFloor | undefined {
    return keptFloor(this.#options.directory.journal, place);
  }

  /** Recovers every replica; one that cannot be opened is left alone and reported. */
  async recover(): Promise<void> {
    const { logger, registry } = this.#options;
    await this.#finishDeletions();
    const replicas = this.#entries(REPLICA_PREFIX).map(([key, value]) => {
      const [topicId = '', partition = ''] = key.slice(REPLICA_PREFIX.length).split('/');
      return { topicId, partition: Number(partition), meta: ReplicaMeta.decode(value) };
    });
    await this.#suspectLost(replicas);
    await this.#options.directory.confirmBoot();
    for (const topicId of new Set(replicas.map((replica) => replica.topicId))) {
      try {
        const topic = await this.#readTopic(topicId);
        if (topic !== undefined) registry.putTopic(topic);
        else logger.error({ topicId }, 'a topic has replicas here but no topic.config; they stay offline');
      } catch (error) {
        logger.error({ err: error, topicId }, 'the topic.config of a topic cannot be read; its replicas stay offline');
      }
    }
    await inParallel(replicas, OPEN_CONCURRENCY_MAX, async ({ topicId, partition, meta }) => {
      const topic = registry.topic(topicId);
      if (topic === undefined) return;
      for (let tries = 1; ; tries += 1) {
        try {
          await this.#open(topic, partition, meta);
          return;
        } catch (error) {
          // A bit may be wrong on the way of one reading only.
          if (tries < OPEN_TRY_COUNT_MAX && isDamage(error)) continue;
          await this.#setAside(topic, { topicId, partition }, meta, error);
          return;
        }
      }
    });
  }

  /**
   * After a start of the machine without a clean stop what only the page cache held is gone. Durable before the new boot is
   * noted and before any log is looked at: a start that is cut short must not make the next one forget it.
   */
  async #suspectLost(replicas: StoredReplica[]): Promise<void> {
    const { directory, logger } = this.#options;
    if (!directory.pageCacheLost) return;
    const lost = replicas.filter(({ meta }) => !meta.suspect && isOfPageCache(meta));
    for (const replica of lost) {
      const { topicId, partition } = replica;
      replica.meta = { ...replica.meta, suspect: true };
      logger.warn({ topicId, partition }, 'a replica is suspect: what only the page cache held is gone');
    }
    await directory.journal.put(
      new Map(lost.map((replica) => [replicaKey(replica), ReplicaMeta.encode(replica.meta).finish()])),
    );
  }

  /** Stores a config unless a version as high is known. The topic need not have replicas here. */
  async putTopic(config: TopicConfig): Promise<void> {
    await this.#exclusively(() => this.#putTopic(config));
  }

  /** Makes replicas; the answer has one error, or undefined for success, for each. Repeating it changes nothing. */
  async create(
    configs: readonly TopicConfig[],
    wanted: readonly ReplicaToCreate[],
  ): Promise<(PartitaError | undefined)[]> {
    return this.#exclusively(async () => {
      for (const config of configs) if (!this.#isDeleted(config.topicId)) await this.#putNewTopic(config);
      const faults = wanted.map((replica) => this.#creationFault(replica));
      const fresh = wanted.filter(
        ({ topicId, partition }, index) =>
          faults[index] === undefined && this.#options.registry.actor(topicId, partition) === undefined,
      );
      await this.#clearPlaces(fresh);
      const { journal } = this.#options.directory;
      const metas = new Map(fresh.map((replica) => [replica, firstMeta(replica, keptFloor(journal, replica))]));
      await journal.put(
        new Map([...metas].map(([replica, meta]) => [replicaKey(replica), ReplicaMeta.encode(meta).finish()])),
      );
      await inParallel(metas, OPEN_CONCURRENCY_MAX, async ([replica, meta]) => {
        const fault = await this.#openFirst(replica, meta);
        if (fault !== undefined) faults[wanted.indexOf(replica)] = fault;
      });
      return faults;
    });
  }

  #creationFault(wanted: ReplicaToCreate): PartitaError | undefined {
    const { topicId } = wanted;
    if (this.#isDeleted(topicId))
      return new PartitaError('TOPIC_NOT_FOUND', `topic ${topicId} was deleted`, { topic: topicId });
    const { directory, registry, host } = this.#options;
    const isUnfinished = (place: TopicPartition) => this.#unfinished.has(partitionKey(place));
    return creationFault(wanted, { directory, registry, brokerId: host.brokerId, isUnfinished });
  }

  /** Where a replica was deleted before nothing of it may be left, nor a line in the checkpoint that speaks of its log. */
  async #clearPlaces(wanted: readonly ReplicaToCreate[]): Promise<void> {
    const { directory, host } = this.#options;
    const again = wanted.filter((replica) => keptFloor(directory.journal, replica) !== undefined);
    if (again.length === 0) return;
    for (const replica of again) await removeReplicaFiles(directory, replica, 'keep the topic');
    await host.noteCut();
  }

  async #openFirst(replica: ReplicaToCreate, meta: ReplicaMeta): Promise<PartitaError | undefined> {
    const { registry, host } = this.#options;
    const topic = registry.topic(replica.topicId);
    if (topic === undefined) return undefined;
    const key = partitionKey(replica);
    this.#unfinished.add(key);
    try {
      await this.#open(topic, replica.partition, meta, true);
    } catch (error) {
      return asPartitaError(asStorageFailure(error));
    }
    this.#unfinished.delete(key);
    // Those of a new topic are many, and nobody waits to hear of them.
    const actor = meta.configFloor > 1 ? registry.actor(replica.topicId, replica.partition) : undefined;
    if (actor !== undefined) host.onChanged(actor, 'config');
    return undefined;
  }

  /** Deletes one replica; throws what DeleteReplica answers. Repeating it changes nothing. */
  async delete(order: DeletionOrder): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#isDeleted(order.topicId)) return;
      const { directory, registry, clock } = this.#options;
      await deleteReplica(order, { directory, registry, wallMs: clock.wallMs() });
      this.#options.logger.info({ ...order }, 'deleted a replica that left its set');
    });
  }

  /** Asks the leader here to change its replica set; throws what ProposeConfig answers. */
  async propose(request: ProposeConfigRequest, deadlineMs: number): Promise<ProposeConfigResponse> {
    const { registry, clock } = this.#options;
    return proposeConfig(request, { registry, clock, deadlineMs });
  }

  /** Deletes a topic; returns how many replicas were removed. */
  async deleteTopic(tombstone: TopicTombstone): Promise<number> {
    if (!isUuid(tombstone.topicId)) throw badField('tombstone.topic_id', tombstone.topicId, 'a lower-case UUID');
    return this.#exclusively(async () => {
      const { journal } = this.#options.directory;
      const key = `${TOMBSTONE_PREFIX}${tombstone.topicId}`;
      if (journal.get(key) === undefined) {
        await journal.put(new Map([[key, TopicTombstone.encode(tombstone).finish()]]));
        this.#options.onTombstone(tombstone);
      }
      const actors = this.#options.registry.removeTopic(tombstone.topicId);
      await inParallel(actors, OPEN_CONCURRENCY_MAX, async (actor) => {
        await actor.close(false);
      });
      await this.#removeFiles(new Set([tombstone.topicId]));
      return actors.length;
    });
  }

  async persist(partition: TopicPartition, meta: ReplicaMeta): Promise<void> {
    await this.#options.directory.journal.put(new Map([[replicaKey(partition), ReplicaMeta.encode(meta).finish()]]));
  }

  /** Makes durable that the records of a partition below the offset are deleted. */
  async noteLogStart(partition: TopicPartition, logStart: bigint): Promise<void> {
    const value = Buffer.alloc(START_BYTES);
    value.writeBigInt64LE(logStart);
    await this.#options.directory.journal.put(new Map([[startKey(partition), value]]));
  }

  #logStart(partition: TopicPartition): bigint {
    const value = this.#options.directory.journal.get(startKey(partition));
    return value === undefined ? 0n : Buffer.from(value).readBigInt64LE();
  }

  /**
   * A replica of several in whose log damage was found copies it anew from the leader. It leads no more and does not count
   * until that is done; the damaged files are kept aside. One that is alone stays as it is.
   */
  async refetch(place: TopicPartition): Promise<void> {
    const actor = this.#options.registry.actor(place.topicId, place.partition);
    if (actor === undefined || actor.isRefetching || isOnlyCopy(currentConfig(actor.state), actor.replicaId)) return;
    actor.isRefetching = true;
    await actor.becomeSuspect();
    await this.#exclusively(async () => {
      if (actor.isClosed) return;
      await actor.retire();
      await this.#beginAnew(actor.topic, actor.partition, actor.meta);
    });
  }

  async #beginAnew(topic: KnownTopic, partition: number, meta: ReplicaMeta): Promise<void> {
    const { topicId } = topic.config;
    await putAside(join(this.#options.directory.dir, topicId, String(partition)));
    await this.#open(topic, partition, { ...meta, suspect: true }, true);
    this.#options.logger.warn({ topicId, partition }, 'a damaged replica is copied anew from its leader');
  }

  /**
   * A damaged replica that is not alone begins anew as a suspect one. Any other that cannot be opened is kept for
   * coordinators and requests to know of; a damaged one is suspect for good.
   */
  async #setAside(topic: KnownTopic, place: TopicPartition, meta: ReplicaMeta, error: unknown): Promise<void> {
    const { logger, registry } = this.#options;
    const damaged = isDamage(error);
    if (damaged && !isOnlyCopy(knownConfigs(meta)[0], meta.replicaId)) {
      logger.error({ err: error, ...place }, 'a replica is damaged; its files are put aside');
      if (!meta.suspect) await this.persist(place, { ...meta, suspect: true });
      await this.#beginAnew(topic, place.partition, meta);
      return;
    }
    const what = damaged ? 'is damaged' : 'cannot be opened';
    logger.error({ err: error, ...place }, `a replica ${what}; it stays offline, its files are left as they are`);
    // A disk that is full or fails for now says nothing about what is on it: the next start tries again.
    if (damaged && !meta.suspect) await this.persist(place, { ...meta, suspect: true });
    registry.putDamaged(new DamagedReplica(place, meta, asPartitaError(error)));
  }

  /** `isNew`: nothing that the last run left to know of the log holds for it. */
  async #open(topic: KnownTopic, partition: number, meta: ReplicaMeta, isNew = false): Promise<void> {
    const { directory, registry, host, logger } = this.#options;
    const { topicId } = topic.config;
    const dir = join(directory.dir, topicId, String(partition));
    const progress = isNew ? NO_PROGRESS : directory.progressOf(topicId, partition);
    const logStart = isNew ? 0n : this.#logStart({ topicId, partition });
    const actor = await openActor({ host, topic, partition, dir, meta, logStart, ...progress });
    const { suspect, cutBytes } = actor.log;
    if (suspect !== undefined)
      logger.error({ topicId, partition, suspect }, 'a replica may have lost acknowledged records');
    if (cutBytes > 0) logger.warn({ topicId, partition, cutBytes }, 'cut a torn write off the end of a log');
    registry.putActor(actor);
  }

  async #putNewTopic(config: TopicConfig): Promise<void> {
    try {
      await this.#putTopic(config);
    } catch (error) {
      if (diskErrorCode(error) !== 'ENOSPC') throw error;
      const { registry, segmentBytesDefault, directory } = this.#options;
      const segmentBytes = registry.topic(config.topicId)?.settings.segmentBytes ?? segmentBytesDefault;
      throw diskFull(directory, segmentBytes);
    }
  }

  async #putTopic(config: TopicConfig): Promise<void> {
    const { directory, registry, segmentBytesDefault } = this.#options;
    if (!isUuid(config.topicId)) throw badField('topic_id', config.topicId, 'a lower-case UUID');
    const known = registry.topic(config.topicId);
    if (known !== undefined && known.config.version >= config.version) return;
    const dir = join(directory.dir, config.topicId);
    await directory.disk.makeDirectory(dir);
    await directory.disk.syncDirectory(directory.dir);
    await writeTopicConfigFile(directory.disk, dir, TopicConfig.encode(config).finish());
    registry.putTopic(knownTopic(config, segmentBytesDefault));
    this.#options.onTopic(config);
  }

  async #readTopic(topicId: string): Promise<KnownTopic | undefined> {
    const { directory, segmentBytesDefault } = this.#options;
    const content = await readTopicConfigFile(directory.disk, join(directory.dir, topicId));
    return content === undefined ? undefined : knownTopic(TopicConfig.decode(content), segmentBytesDefault);
  }

  #isDeleted(topicId: string): boolean {
    return this.#options.directory.journal.get(`${TOMBSTONE_PREFIX}${topicId}`) !== undefined;
  }

  /** Removes what a crash left of deleted topics, and forgets tombstones that nobody can ask for any more. */
  async #finishDeletions(): Promise<void> {
    const { clock, directory } = this.#options;
    const { tombstones } = this;
    await this.#removeFiles(new Set(tombstones.map(({ topicId }) => topicId)));
    const isOld = ({ deleteTimeMs }: { deleteTimeMs: bigint }) =>
      clock.wallMs() - Number(deleteTimeMs) > METADATA_TOMBSTONE_MS;
    await directory.journal.delete(tombstones.filter(isOld).map(({ topicId }) => `${TOMBSTONE_PREFIX}${topicId}`));
    await finishReplicaDeletions(directory, isOld);
  }

  /** One look at the journal serves all topics: it has an entry for each of ten thousand replicas. */
  async #removeFiles(topicIds: ReadonlySet<string>): Promise<void> {
    const { directory } = this.#options;
    for (const topicId of topicIds) await rm(join(directory.dir, topicId), { recursive: true, force: true });
    const isOfThem = (key: string) => {
      const [prefix = '', topicId = ''] = key.split('/');
      return topicIds.has(topicId) && [REPLICA_PREFIX, START_PREFIX, FLOOR_PREFIX].includes(`${prefix}/`);
    };
    await directory.journal.delete([...directory.journal.entries()].map(([key]) => key).filter(isOfThem));
  }

  #entries(prefix: string): [string, Uint8Array][] {
    return [...this.#options.directory.journal.entries()].filter(([key]) => key.startsWith(prefix));
  }

  async #exclusively<Result>(change: () => Promise<Result>): Promise<Result> {
    const mine = this.#last.then(change);
    this.#last = mine.catch(() => undefined);
    try {
      return await mine;
    } catch (error) {
      throw asStorageFailure(error);
    }
  }
}

/** True when what the replica acknowledges may be in the page cache alone. A set that does not say so is fsynced. */
function isOfPageCache({ committedConfig, initialConfig }: ReplicaMeta): boolean {
  return (committedConfig ?? initialConfig)?.flush === FlushMode.FLUSH_MODE_OS;
}

/** True when there is nobody to copy the log from: a learner has its members. */
function isOnlyCopy({ replicas }: ReplicaConfig, replicaId: string): boolean {
  return replicas.every((replica) => replica.replicaId === replicaId);
}

function isDamage(error: unknown): boolean {
  return error instanceof PartitaError && error.reason === 'CORRUPT_BATCH';
}
