/**
 * The directory in Redis. Every write is one script that checks the lease and what this store has seen before it
 * touches anything (lua/includes/check-fence.lua).
 */
import { METADATA_CHUNK_COUNT_MAX, METADATA_TOMBSTONE_MS, PartitaError } from '@partita/domain';
import { type AuditEntry, type AuditPage, encodeAuditEntry } from './audit-entry.ts';
import { type BrokerEntry, encodeBrokerEntry } from './broker-entry.ts';
import { type MetadataKeys, metadataKeys } from './keys.ts';
import type {
  GroupHint,
  LeaseAttempt,
  LeaseHolder,
  LeaseToken,
  MetadataSnapshot,
  MetadataStore,
  MetaReading,
  MovesEntry,
  PartitionPublication,
  Published,
  PublishOutcome,
  RebuildRequest,
  RolledBack,
  StoreState,
  WriteOutcome,
} from './metadata-store.ts';
import { encodePartitionEntry } from './partition-entry.ts';
import { readAuditTrail } from './redis-audit.ts';
import { RedisConnection, type ScriptReply } from './redis-connection.ts';
import { rebuildDirectory } from './redis-rebuild.ts';
import { readDirectory, readDirectoryMeta } from './redis-snapshot.ts';
import { encodeSettingsEntry, type SettingsEntry } from './settings-entry.ts';
import { SCRIPT_CODES } from './script-codes.ts';
import type { ScriptName } from './scripts.ts';
import { isOlder, isRolledBack, SeenDirectory } from './seen-directory.ts';
import { leaseLost, topicDeleted, topicMissing, topicNameTaken, wrongCluster } from './store-errors.ts';
import { malformed, whole } from './stored-fields.ts';
import {
  encodeTombstone,
  encodeTopicChange,
  encodeTopicEntry,
  type TopicEntry,
  type TopicTombstone,
} from './topic-entry.ts';

/** `cluster` is the name in the keys, `clusterId` what must stand in them; `url` is redis:// or rediss://. */
export interface RedisMetadataStoreOptions {
  readonly url: string;
  readonly cluster: string;
  readonly clusterId: string;
}

type Argument = string | number;

/** A store over one connection, not yet connected. */
export function createRedisMetadataStore(options: RedisMetadataStoreOptions): MetadataStore {
  return new RedisMetadataStore(options);
}

class RedisMetadataStore implements MetadataStore {
  readonly keys: MetadataKeys;
  readonly clusterId: string;
  readonly connection: RedisConnection;
  readonly #seen = new SeenDirectory();

  constructor({ url, cluster, clusterId }: RedisMetadataStoreOptions) {
    this.keys = metadataKeys(cluster);
    this.clusterId = clusterId;
    this.connection = new RedisConnection(url);
  }

  get state(): StoreState {
    return this.connection.state;
  }

  onStateChange(listener: (state: StoreState) => void): () => void {
    return this.connection.onStateChange(listener);
  }

  connect(): Promise<void> {
    return this.connection.connect();
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  async leaseAcquire(request: { run: string; url: string; ttlMs: number }): Promise<LeaseAttempt> {
    const { run, url, ttlMs } = request;
    const args = [this.clusterId, run, this.#seen.leaseNumber, url, ttlMs];
    const { code, rest } = await this.connection.script('lease-acquire', this.#fenceKeys(), args);
    if (code === SCRIPT_CODES.WRONG_CLUSTER) throw wrongCluster(this.clusterId, String(rest[0]));
    if (code === SCRIPT_CODES.HELD) {
      const [heldRun, heldUrl, number, remainingMs] = rest;
      const holder = this.#holder(String(heldRun), String(heldUrl), number, Number(remainingMs));
      this.#seen.leaseGiven(holder.number);
      return { heldBy: holder };
    }
    const token = { run, number: whole({ where: this.keys.leaseSeq, value: rest[0] }, 1) };
    this.#seen.leaseGiven(token.number);
    return { token };
  }

  leaseRenew(token: LeaseToken): Promise<WriteOutcome> {
    return this.#write('lease-renew', token, [], []);
  }

  async leaseRelease(token: LeaseToken): Promise<void> {
    await this.connection.script('lease-release', this.#fenceKeys(), this.#fenceArguments(token));
  }

  async leaseHolder(): Promise<LeaseHolder | undefined> {
    const { lease } = this.keys;
    const [fields, remainingMs] = await this.connection.run(async (redis) =>
      Promise.all([redis.hmget(lease, 'run', 'url', 'token'), redis.pttl(lease)]),
    );
    const [run, url, number] = fields;
    if (typeof run !== 'string' || remainingMs <= 0) return undefined;
    return this.#holder(run, url ?? '', number, remainingMs);
  }

  async readMeta(): Promise<MetaReading> {
    const seen = this.#seen.mark;
    const { meta, leaseNumberGiven, fault } = await readDirectoryMeta(this);
    if (meta === undefined) return { status: 'empty' };
    const isLost = fault !== undefined || isRolledBack(seen, meta, leaseNumberGiven);
    return { status: isLost ? 'rolled_back' : 'current', meta };
  }

  async readAll(): Promise<MetadataSnapshot | undefined> {
    const seen = this.#seen.mark;
    const read = await readDirectory(this);
    if (read === undefined) return undefined;
    this.#seen.adopt(read.meta.generation, read.meta.revision);
    const { meta, content, faults } = read;
    return { ...content, meta, rolledBack: isOlder(seen, meta, read.leaseNumberGiven), faults };
  }

  createTopic(token: LeaseToken, topic: TopicEntry): Promise<WriteOutcome> {
    const { name, topicId } = topic;
    const keys = [this.keys.topics, this.keys.topic(topicId), this.keys.tomb(topicId)];
    return this.#write('topic-create', token, keys, [name, topicId, ...encodeTopicEntry(topic)], ({ code, rest }) => {
      if (code === SCRIPT_CODES.NAME_TAKEN) throw topicNameTaken(name, String(rest[0]));
      if (code === SCRIPT_CODES.TOPIC_DELETED) throw topicDeleted(topicId);
    });
  }

  activateTopic(token: LeaseToken, topicId: string): Promise<WriteOutcome> {
    return this.#write('topic-activate', token, [this.keys.topic(topicId)], [topicId], ({ code }) => {
      if (code === SCRIPT_CODES.TOPIC_MISSING) throw topicMissing(topicId);
    });
  }

  updateTopic(token: LeaseToken, topic: TopicEntry): Promise<WriteOutcome> {
    const { topicId, version } = topic;
    const args = [topicId, version, ...encodeTopicChange(topic)];
    return this.#write('topic-update', token, [this.keys.topic(topicId)], args, ({ code }) => {
      if (code === SCRIPT_CODES.TOPIC_MISSING) throw topicMissing(topicId);
    });
  }

  deleteTopic(token: LeaseToken, tombstone: TopicTombstone): Promise<WriteOutcome> {
    const { topicId } = tombstone;
    const { topics, topic, part, tomb } = this.keys;
    const keys = [topics, topic(topicId), part(topicId), tomb(topicId)];
    return this.#write('topic-delete', token, keys, [topicId, encodeTombstone(tombstone), METADATA_TOMBSTONE_MS]);
  }

  putBroker(token: LeaseToken, broker: BrokerEntry): Promise<WriteOutcome> {
    const args = ['broker_put', broker.brokerId, encodeBrokerEntry(broker)];
    return this.#write('hash-put', token, [this.keys.brokers], args);
  }

  removeBroker(token: LeaseToken, brokerId: number): Promise<WriteOutcome> {
    return this.#write('hash-put', token, [this.keys.brokers], ['broker_remove', brokerId, '']);
  }

  putSettings(token: LeaseToken, settings: SettingsEntry): Promise<WriteOutcome> {
    const args = [settings.version, ...encodeSettingsEntry(settings)];
    return this.#write('settings-put', token, [this.keys.settings], args);
  }

  putGroups(token: LeaseToken, groups: readonly GroupHint[]): Promise<WriteOutcome> {
    const fields = groups.flatMap(({ shard, value }) => [shard, value]);
    return this.#write('hash-put', token, [this.keys.groups], ['groups_put', ...fields]);
  }

  putMoves(token: LeaseToken, moves: readonly MovesEntry[]): Promise<WriteOutcome> {
    const fields = moves.flatMap(({ reassignmentId, value }) => [reassignmentId, value]);
    return this.#write('hash-put', token, [this.keys.moves], ['moves_put', ...fields]);
  }

  async publishPartitions(
    token: LeaseToken,
    publications: readonly PartitionPublication[],
  ): Promise<Published | RolledBack> {
    const outcomes: PublishOutcome[] = [];
    for (let from = 0; from < publications.length; from += METADATA_CHUNK_COUNT_MAX) {
      const chunk = publications.slice(from, from + METADATA_CHUNK_COUNT_MAX);
      const written = await this.#publishChunk(token, chunk, outcomes);
      if (written.status === 'rolled_back') return written;
    }
    return { status: 'published', outcomes };
  }

  appendAudit(token: LeaseToken, entries: readonly AuditEntry[]): Promise<WriteOutcome> {
    return this.#write('audit-append', token, [], entries.flatMap(encodeAuditEntry));
  }

  readAudit(count: number, after: string | undefined): Promise<AuditPage> {
    return readAuditTrail(this, count, after);
  }

  async rebuild(token: LeaseToken, request: RebuildRequest): Promise<WriteOutcome> {
    const { newGeneration } = request;
    const outcome = await rebuildDirectory(this, request, (step, keys, args) =>
      this.#write('rebuild', token, keys, [step, newGeneration, ...args]),
    );
    if (outcome.status !== 'rolled_back') this.#seen.adopt(newGeneration, outcome.revision);
    return outcome;
  }

  #publishChunk(
    token: LeaseToken,
    chunk: readonly PartitionPublication[],
    outcomes: PublishOutcome[],
  ): Promise<WriteOutcome> {
    const topicIds = [...new Set(chunk.map(({ topicId }) => topicId))];
    const keys = topicIds.flatMap((topicId) => [this.keys.topic(topicId), this.keys.part(topicId)]);
    // Counted from 1 as Lua does, behind the fence's four keys.
    const placeOf = new Map(topicIds.map((topicId, index) => [topicId, 5 + 2 * index]));
    const args = chunk.flatMap(({ topicId, partition, entry }) => {
      const { text, ownershipBytes } = encodePartitionEntry(entry);
      const { epoch, configVersion, isrVersion } = entry;
      return [placeOf.get(topicId) ?? 0, partition, epoch, configVersion, isrVersion, text, ownershipBytes];
    });
    return this.#write('part-publish', token, keys, args, ({ rest }) => {
      outcomes.push(...rest.slice(1).map(publishOutcome));
    });
  }

  #fenceKeys(): string[] {
    const { meta, lease, leaseSeq, ops } = this.keys;
    return [meta, lease, leaseSeq, ops];
  }

  #fenceArguments(token: LeaseToken): Argument[] {
    return [this.clusterId, token.run, token.number, this.#seen.generation ?? '', this.#seen.revision];
  }

  /** Runs a fenced script. `judge` sees what the fence let through and throws for the refusals of its own. */
  async #write(
    name: ScriptName,
    token: LeaseToken,
    keys: readonly string[],
    args: readonly Argument[],
    judge: (reply: ScriptReply) => void = () => undefined,
  ): Promise<WriteOutcome> {
    const allArguments = [...this.#fenceArguments(token), ...args];
    const reply = await this.connection.script(name, [...this.#fenceKeys(), ...keys], allArguments);
    const { code, rest } = reply;
    if (code === SCRIPT_CODES.LEASE_LOST) throw leaseLost(String(rest[0]));
    if (code === SCRIPT_CODES.WRONG_CLUSTER) throw wrongCluster(this.clusterId, String(rest[0]));
    if (code === SCRIPT_CODES.ROLLED_BACK) {
      const [generation, revision] = rest;
      return {
        status: 'rolled_back',
        generation: generation === '' ? undefined : String(generation),
        revision: Number(revision),
      };
    }
    judge(reply);
    if (code !== SCRIPT_CODES.OK && code !== SCRIPT_CODES.UNCHANGED) {
      throw new PartitaError('INTERNAL', `the script ${name} answered the unknown code ${code}`);
    }
    const revision = whole({ where: this.keys.meta, value: rest[0] });
    this.#seen.wrote(revision);
    return { status: code === SCRIPT_CODES.OK ? 'written' : 'unchanged', revision };
  }

  #holder(run: string, url: string, number: unknown, remainingMs: number): LeaseHolder {
    return { run, url, number: whole({ where: this.keys.lease, value: number }), remainingMs };
  }
}

function publishOutcome(code: unknown): PublishOutcome {
  switch (code) {
    case SCRIPT_CODES.OK:
      return 'published';
    case SCRIPT_CODES.UNCHANGED:
      return 'unchanged';
    case SCRIPT_CODES.STALE:
      return 'stale';
    case SCRIPT_CODES.TOPIC_MISSING:
      return 'no_topic';
    default:
      throw malformed('part-publish', 'an outcome without a name');
  }
}
