/**
 * The directory in memory: the coordinator's embedded store when there is no Redis. The same fences as in Redis; what
 * a restart loses is rebuilt from the brokers.
 */
import { type Clock, METADATA_AUDIT_COUNT_MAX, METADATA_TOMBSTONE_MS, PartitaError } from '@partita/domain';
import type { AuditEntry, AuditPage } from './audit-entry.ts';
import type { BrokerEntry } from './broker-entry.ts';
import { type DirectoryState, MemoryDirectory, type StoredLease } from './memory-directory.ts';
import type {
  DirectoryMeta,
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
import { comparePartitionVersions, encodePartitionEntry, type PartitionEntry } from './partition-entry.ts';
import { isOlder, isRolledBack, SeenDirectory } from './seen-directory.ts';
import type { SettingsEntry } from './settings-entry.ts';
import { leaseLost, storeClosed, topicDeleted, topicMissing, topicNameTaken, wrongCluster } from './store-errors.ts';
import type { TopicEntry, TopicTombstone } from './topic-entry.ts';

export interface MemoryMetadataStoreOptions {
  readonly clusterId: string;
  readonly clock: Clock;
  /** Shared by the stores of one directory; a new one by default. */
  readonly directory?: MemoryDirectory;
}

/** A store in memory, not yet connected. */
export function createMemoryMetadataStore(options: MemoryMetadataStoreOptions): MetadataStore {
  return new MemoryMetadataStore(options);
}

class MemoryMetadataStore implements MetadataStore {
  readonly #clusterId: string;
  readonly #clock: Clock;
  readonly #directory: MemoryDirectory;
  readonly #seen = new SeenDirectory();
  readonly #listeners = new Set<(state: StoreState) => void>();
  #state: StoreState = 'down';

  constructor({ clusterId, clock, directory = new MemoryDirectory() }: MemoryMetadataStoreOptions) {
    this.#clusterId = clusterId;
    this.#clock = clock;
    this.#directory = directory;
  }

  get state(): StoreState {
    return this.#state;
  }

  onStateChange(listener: (state: StoreState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async connect(): Promise<void> {
    this.#become('up');
  }

  async close(): Promise<void> {
    this.#become('down');
  }

  async leaseAcquire(request: { run: string; url: string; ttlMs: number }): Promise<LeaseAttempt> {
    const state = this.#open();
    const { run, url, ttlMs } = request;
    const held = this.#lease(state);
    const next = () => Math.max(state.leaseNumberGiven, this.#seen.leaseNumber) + 1;
    if (held !== undefined && held.run !== run) {
      // Given by a wiped count: its holder learns of a higher number at its next renewal.
      const number = held.number < this.#seen.leaseNumber ? next() : held.number;
      state.leaseNumberGiven = Math.max(state.leaseNumberGiven, number);
      state.lease = { ...held, number };
      this.#seen.leaseGiven(number);
      return { heldBy: this.#holder(state.lease) };
    }
    const least = Math.max(state.leaseNumberGiven, this.#seen.leaseNumber);
    const number = held === undefined || held.number < least ? next() : held.number;
    state.leaseNumberGiven = Math.max(state.leaseNumberGiven, number);
    state.lease = { run, url, number, ttlMs, endsMs: this.#clock.monotonicMs() + ttlMs };
    const token = { run, number };
    this.#seen.leaseGiven(number);
    return { token };
  }

  async leaseRenew(token: LeaseToken): Promise<WriteOutcome> {
    const state = this.#open();
    const refused = this.#checkLease(state, token);
    if (refused !== undefined) return refused;
    if (state.lease !== undefined) {
      state.lease = { ...state.lease, endsMs: this.#clock.monotonicMs() + state.lease.ttlMs };
    }
    return { status: 'written', revision: state.meta?.revision ?? 0 };
  }

  async leaseRelease(token: LeaseToken): Promise<void> {
    const state = this.#open();
    if (isHolder(this.#lease(state), token)) state.lease = undefined;
  }

  async leaseHolder(): Promise<LeaseHolder | undefined> {
    const lease = this.#lease(this.#open());
    return lease === undefined ? undefined : this.#holder(lease);
  }

  async readMeta(): Promise<MetaReading> {
    const { meta, leaseNumberGiven } = this.#open();
    if (meta === undefined) return { status: 'empty' };
    return { status: isRolledBack(this.#seen.mark, meta, leaseNumberGiven) ? 'rolled_back' : 'current', meta };
  }

  async readAll(): Promise<MetadataSnapshot | undefined> {
    const state = this.#open();
    const { meta, leaseNumberGiven } = state;
    if (meta === undefined) return undefined;
    const isOld = isOlder(this.#seen.mark, meta, leaseNumberGiven);
    this.#seen.adopt(meta.generation, meta.revision);
    const nowMs = this.#clock.monotonicMs();
    return {
      meta,
      rolledBack: isOld,
      faults: [],
      brokers: [...state.brokers.values()],
      topics: [...state.topics.values()],
      partitions: [...state.partitions].flatMap(([topicId, entries]) =>
        [...entries].map(([partition, entry]) => ({ topicId, partition, entry })),
      ),
      tombstones: [...state.tombstones.values()]
        .filter(({ endsMs }) => endsMs > nowMs)
        .map(({ tombstone }) => tombstone),
      groups: [...state.groups].map(([shard, value]) => ({ shard, value })),
      settings: state.settings,
      moves: [...state.moves].map(([reassignmentId, value]) => ({ reassignmentId, value })),
    };
  }

  async createTopic(token: LeaseToken, topic: TopicEntry): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      const { name, topicId } = topic;
      if (state.tombstones.has(topicId)) throw topicDeleted(topicId);
      const owner = state.topicIds.get(name);
      if (owner !== undefined && owner !== topicId) throw topicNameTaken(name, owner);
      const before = state.topics.get(topicId)?.name;
      if (owner !== undefined && before === name) return false;
      if (before !== undefined && state.topicIds.get(before) === topicId) state.topicIds.delete(before);
      state.topicIds.set(name, topicId);
      state.topics.set(topicId, topic);
      return true;
    });
  }

  async activateTopic(token: LeaseToken, topicId: string): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      const topic = state.topics.get(topicId);
      if (topic === undefined) throw topicMissing(topicId);
      if (topic.state === 'active') return false;
      state.topics.set(topicId, { ...topic, state: 'active' });
      return true;
    });
  }

  async updateTopic(token: LeaseToken, topic: TopicEntry): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      const stored = state.topics.get(topic.topicId);
      if (stored === undefined) throw topicMissing(topic.topicId);
      if (stored.version >= topic.version) return false;
      state.topics.set(topic.topicId, { ...topic, name: stored.name, state: stored.state });
      return true;
    });
  }

  async deleteTopic(token: LeaseToken, tombstone: TopicTombstone): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      const { topicId } = tombstone;
      const topic = state.topics.get(topicId);
      if (topic === undefined && state.tombstones.has(topicId)) return false;
      this.#bury(state, tombstone);
      if (topic !== undefined && state.topicIds.get(topic.name) === topicId) state.topicIds.delete(topic.name);
      state.topics.delete(topicId);
      state.partitions.delete(topicId);
      return true;
    });
  }

  async putBroker(token: LeaseToken, broker: BrokerEntry): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      if (JSON.stringify(state.brokers.get(broker.brokerId)) === JSON.stringify(broker)) return false;
      state.brokers.set(broker.brokerId, broker);
      return true;
    });
  }

  async removeBroker(token: LeaseToken, brokerId: number): Promise<WriteOutcome> {
    return this.#write(token, (state) => state.brokers.delete(brokerId));
  }

  async putSettings(token: LeaseToken, settings: SettingsEntry): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      if ((state.settings?.version ?? 0) >= settings.version) return false;
      state.settings = settings;
      return true;
    });
  }

  async putGroups(token: LeaseToken, groups: readonly GroupHint[]): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      if (groups.every(({ shard, value }) => state.groups.get(shard) === value)) return false;
      for (const { shard, value } of groups) state.groups.set(shard, value);
      return true;
    });
  }

  async putMoves(token: LeaseToken, moves: readonly MovesEntry[]): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      if (moves.every(({ reassignmentId, value }) => (state.moves.get(reassignmentId) ?? '') === value)) return false;
      for (const { reassignmentId, value } of moves) {
        if (value === '') state.moves.delete(reassignmentId);
        else state.moves.set(reassignmentId, value);
      }
      return true;
    });
  }

  async publishPartitions(
    token: LeaseToken,
    publications: readonly PartitionPublication[],
  ): Promise<Published | RolledBack> {
    const outcomes: PublishOutcome[] = [];
    const written = this.#write(token, (state) => {
      for (const publication of publications) outcomes.push(publish(state, publication));
      return outcomes.includes('published');
    });
    return written.status === 'rolled_back' ? written : { status: 'published', outcomes };
  }

  async appendAudit(token: LeaseToken, entries: readonly AuditEntry[]): Promise<WriteOutcome> {
    return this.#write(token, (state) => {
      state.audit.push(...entries);
      const old = state.audit.splice(0, Math.max(0, state.audit.length - METADATA_AUDIT_COUNT_MAX));
      state.auditStart += old.length;
      return false;
    });
  }

  async readAudit(count: number, after: string | undefined): Promise<AuditPage> {
    const { audit, auditStart } = this.#open();
    if (after !== undefined && !/^\d{1,15}$/.test(after))
      throw new PartitaError('INVALID_PAGE_TOKEN', 'page_token is not one of the audit trail: begin again without it');
    const end = after === undefined ? audit.length : Math.max(0, Number(after) - auditStart);
    const start = Math.max(0, end - count);
    const next = start === 0 ? undefined : String(auditStart + start);
    return { entries: audit.slice(start, end).reverse(), next };
  }

  async rebuild(token: LeaseToken, request: RebuildRequest): Promise<WriteOutcome> {
    const state = this.#open();
    const refused = this.#checkLease(state, token);
    if (refused !== undefined) return refused;
    const { expectedGeneration, newGeneration, content } = request;
    if (state.meta?.generation === newGeneration) return { status: 'unchanged', revision: state.meta.revision };
    if (state.meta?.generation !== expectedGeneration) return rolledBack(state.meta);
    state.brokers = new Map(content.brokers.map((broker) => [broker.brokerId, broker]));
    state.topicIds = new Map(content.topics.map(({ name, topicId }) => [name, topicId]));
    state.topics = new Map(content.topics.map((topic) => [topic.topicId, topic]));
    state.partitions = new Map();
    for (const { topicId, partition, entry } of content.partitions) entriesOf(state, topicId).set(partition, entry);
    state.settings = content.settings;
    state.moves = new Map(content.moves.map(({ reassignmentId, value }) => [reassignmentId, value]));
    state.groups = new Map(content.groups.map(({ shard, value }) => [shard, value]));
    for (const tombstone of content.tombstones) this.#bury(state, tombstone);
    const revision = (state.meta?.revision ?? 0) + 1;
    state.meta = { clusterId: this.#clusterId, generation: newGeneration, revision };
    this.#seen.adopt(newGeneration, revision);
    return { status: 'written', revision };
  }

  /** One fenced change; `change` returns false when there was nothing to change, or throws before it changed anything. */
  #write(token: LeaseToken, change: (state: DirectoryState) => boolean): WriteOutcome {
    const state = this.#open();
    const refused = this.#checkLease(state, token);
    if (refused !== undefined) return refused;
    const { meta } = state;
    if (meta === undefined || isRolledBack(this.#seen.mark, meta, state.leaseNumberGiven)) return rolledBack(meta);
    if (!change(state)) return { status: 'unchanged', revision: meta.revision };
    const revision = meta.revision + 1;
    state.meta = { ...meta, revision };
    this.#seen.wrote(revision);
    return { status: 'written', revision };
  }

  #checkLease(state: DirectoryState, token: LeaseToken): RolledBack | undefined {
    if (state.leaseNumberGiven < token.number) return rolledBack(state.meta);
    const lease = this.#lease(state);
    if (!isHolder(lease, token)) throw leaseLost(lease?.url ?? '');
    return undefined;
  }

  #open(): DirectoryState {
    if (this.#state === 'down') throw storeClosed();
    const { state } = this.#directory;
    if (state.meta !== undefined && state.meta.clusterId !== this.#clusterId) {
      throw wrongCluster(this.#clusterId, state.meta.clusterId);
    }
    return state;
  }

  #lease(state: DirectoryState): StoredLease | undefined {
    const { lease } = state;
    return lease !== undefined && lease.endsMs > this.#clock.monotonicMs() ? lease : undefined;
  }

  #holder({ run, url, number, endsMs }: StoredLease): LeaseHolder {
    return { run, url, number, remainingMs: endsMs - this.#clock.monotonicMs() };
  }

  /** Remembers a deleted topic, and forgets those whose time is over. */
  #bury(state: DirectoryState, tombstone: TopicTombstone): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [topicId, { endsMs }] of state.tombstones) if (endsMs <= nowMs) state.tombstones.delete(topicId);
    state.tombstones.set(tombstone.topicId, { tombstone, endsMs: nowMs + METADATA_TOMBSTONE_MS });
  }

  #become(state: StoreState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

function isHolder(lease: StoredLease | undefined, token: LeaseToken): boolean {
  return lease?.run === token.run && lease.number === token.number;
}

function rolledBack(meta: DirectoryMeta | undefined): RolledBack {
  return { status: 'rolled_back', generation: meta?.generation, revision: meta?.revision ?? 0 };
}

function entriesOf(state: DirectoryState, topicId: string): Map<number, PartitionEntry> {
  const entries = state.partitions.get(topicId) ?? new Map<number, PartitionEntry>();
  state.partitions.set(topicId, entries);
  return entries;
}

function publish(state: DirectoryState, { topicId, partition, entry }: PartitionPublication): PublishOutcome {
  if (!state.topics.has(topicId)) return 'no_topic';
  const entries = entriesOf(state, topicId);
  const stored = entries.get(partition);
  if (stored !== undefined) {
    const newer = comparePartitionVersions(entry, stored);
    if (newer < 0) return 'stale';
    if (newer === 0 && ownership(entry) !== ownership(stored)) return 'stale';
    if (newer === 0 && entry.status === stored.status) return 'unchanged';
  }
  entries.set(partition, entry);
  return 'published';
}

function ownership(entry: PartitionEntry): string {
  return encodePartitionEntry({ ...entry, status: 'online', updatedMs: 0 }).text;
}
