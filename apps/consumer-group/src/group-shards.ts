/** The group shards of this instance, and who has the others: which shard a group is on follows from its id's hash. */
import { keyHash } from '@partita/batch';
import type { RouteCache } from '@partita/client';
import { PartitaError } from '@partita/domain';
import type { TopicCatalog } from '@partita/groups';
import type { ShardAssignment, ShardHint, ShardOwnership } from '@partita/protocol';
import { createRepeatedLog, systemClock } from '@partita/runtime';
import type { Logger } from '@partita/runtime';
import type { LeaderCalls } from './leader-calls.ts';
import { MemberSessions } from './member-sessions.ts';
import { ShardLog } from './shard-log.ts';
import { loading, ShardOwner } from './shard-owner.ts';

/** Topic that holds the state of all groups. */
const GROUPS_TOPIC = '__groups';
/** How often a shard that could not be opened is tried again. */
const OPEN_RETRY_MS = 100;
const REFRESH_DELAY_MS = 50;

/** A shard that this instance owns or is taking over. */
export interface OwnShard {
  readonly owner: ShardOwner;
  readonly sessions: MemberSessions;
}

export interface GroupShardsOptions {
  readonly routes: RouteCache;
  readonly calls: LeaderCalls;
  readonly instanceId: string;
  readonly logger: Logger;
}

export class GroupShards {
  readonly #options: GroupShardsOptions;
  readonly #own = new Map<number, OwnShard & { readonly stop: AbortController }>();
  readonly #catalog: TopicCatalog;
  readonly #repeated: ReturnType<typeof createRepeatedLog>;
  readonly #forgetRoutes: () => void;
  #hints: readonly ShardHint[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(options: GroupShardsOptions) {
    this.#options = options;
    this.#repeated = createRepeatedLog(options.logger, systemClock);
    const { table } = options.routes;
    this.#catalog = {
      topic(name) {
        const route = table.topic(name);
        return route === undefined ? undefined : { topicId: route.topicId, partitionCount: route.partitions.length };
      },
      // Patterns are refused at the door.
      matching: () => [],
      has: (topicId) => table.topicById(topicId) !== undefined,
    };
    this.#forgetRoutes = options.routes.onChange(() => this.#onRoutes());
  }

  /**
   * Takes over what the coordinator says, and gives up what it gives to another instance. A shard of which it says
   * nothing stays: a coordinator that has lost its directory learns from us who serves it.
   */
  assign(assignment: ShardAssignment): void {
    this.#hints = assignment.shards;
    this.#open();
  }

  ownedShards(): ShardOwnership[] {
    return this.all()
      .filter(({ owner }) => owner.phase === 'serving')
      .map(({ owner }) => ({ shard: owner.shard, claimEpoch: owner.claimEpoch }));
  }

  all(): readonly OwnShard[] {
    return [...this.#own.values()];
  }

  /**
   * The shard of a group, served here. Waits for one that is being taken over. Throws NOT_GROUP_OWNER with the owner's
   * address when another instance has it, GROUP_LOADING when nobody serves it within `waitMs`.
   */
  async of(group: string, waitMs: number): Promise<OwnShard> {
    const deadlineAtMs = performance.now() + waitMs;
    for (;;) {
      const leftMs = deadlineAtMs - performance.now();
      const shard = this.#shardOf(group);
      const own = shard === undefined ? undefined : this.#own.get(shard);
      if (own !== undefined && (await own.owner.serving(Math.max(0, leftMs)))) return own;
      const hint = this.#hints.find((candidate) => candidate.shard === shard);
      if (hint !== undefined && hint.instanceId !== '' && hint.instanceId !== this.#options.instanceId) {
        const message = `group "${group}" is served at ${hint.address}`;
        throw new PartitaError('NOT_GROUP_OWNER', message, { group, address: hint.address });
      }
      if (leftMs <= 0 || this.#closed) throw loading(group);
      await this.#options.routes.nextChange(Math.min(leftMs, OPEN_RETRY_MS));
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#refresh);
    this.#forgetRoutes();
    for (const shard of [...this.#own.keys()]) this.#stop(shard);
  }

  #shardOf(group: string): number | undefined {
    const hash = keyHash(Buffer.from(group, 'utf8'));
    const partitions = this.#options.routes.table.topic(GROUPS_TOPIC)?.partitions;
    return partitions?.find(({ hashMin, hashMax }) => hashMin <= hash && hash <= hashMax)?.partition;
  }

  #open(): void {
    clearTimeout(this.#retry);
    const { instanceId } = this.#options;
    const mine = this.#hints.filter((hint) => hint.instanceId === instanceId).map((hint) => hint.shard);
    const others = this.#hints.filter((hint) => hint.instanceId !== instanceId && hint.instanceId !== '');
    for (const { shard } of others) this.#stop(shard);
    if (this.#closed || mine.every((shard) => this.#own.has(shard))) return;
    const { table } = this.#options.routes;
    const topicId = table.topic(GROUPS_TOPIC)?.topicId;
    // Without the whole directory every topic that is not yet known would look deleted.
    if (table.complete && topicId !== undefined) {
      for (const shard of mine) this.#openShard(shard, topicId);
      return;
    }
    this.#repeated.warn('groups topic', {}, 'the group shards wait for the directory of topics');
    this.#retry = setTimeout(() => this.#open(), OPEN_RETRY_MS);
  }

  #openShard(shard: number, topicId: string): void {
    if (this.#own.has(shard)) return;
    const { calls, instanceId, logger } = this.#options;
    const stop = new AbortController();
    const name = { topicId, topic: GROUPS_TOPIC, partition: shard };
    const log = new ShardLog(calls, name, instanceId, stop.signal);
    const sessions = new MemberSessions(this.#catalog, logger);
    const wallMs = (): number => systemClock.wallMs();
    const owner = new ShardOwner({ shard, log, catalog: this.#catalog, logger, wallMs, listener: sessions });
    this.#own.set(shard, { owner, sessions, stop });
    sessions.start(owner);
    owner.start();
  }

  #stop(shard: number): void {
    const own = this.#own.get(shard);
    if (own === undefined) return;
    this.#own.delete(shard);
    own.owner.stop();
    own.sessions.stop();
    own.stop.abort();
  }

  /** Several changes in a row are looked at once; until the routes are whole, a missing topic says nothing. */
  #onRoutes(): void {
    if (this.#refresh !== undefined || !this.#options.routes.table.complete) return;
    this.#refresh = setTimeout(() => {
      this.#refresh = undefined;
      for (const { sessions } of this.#own.values()) sessions.refresh();
    }, REFRESH_DELAY_MS);
  }
}
