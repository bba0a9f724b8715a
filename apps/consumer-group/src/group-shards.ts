/** The group shards of this instance, and who has the others: which shard a group is on follows from its id's hash. */
import { keyHash } from '@partita/batch';
import { pause } from '@partita/client';
import type { RouteCache } from '@partita/client';
import { PartitaError } from '@partita/domain';
import type { TopicCatalog } from '@partita/groups';
import type { ShardAssignment, ShardHint, ShardOwnership } from '@partita/protocol';
import type { TracingMode } from '@partita/rpc';
import { createRepeatedLog, StateLines, systemClock, systemTimers } from '@partita/runtime';
import type { Logger } from '@partita/runtime';
import type { GroupMeter } from './group-meter.ts';
import { GroupNews } from './group-news.ts';
import type { LeaderCalls } from './leader-calls.ts';
import { MemberSessions } from './member-sessions.ts';
import { RebalanceCount } from './rebalance-count.ts';
import { ShardLog } from './shard-log.ts';
import { loading, ShardOwner } from './shard-owner.ts';
import type { ShardListener } from './shard-owner.ts';
import { topicCatalog } from './topic-catalog.ts';
import { TopicPatterns } from './topic-patterns.ts';

/** Topic that holds the state of all groups. */
const GROUPS_TOPIC = '__groups';
/** How often a shard that could not be opened is tried again. */
const OPEN_RETRY_MS = 100;
const REFRESH_DELAY_MS = 50;
/** How often the members of all shards are looked at. */
const TICK_MS = 200;
/** How much later than another instance this one may be told what it shall own. */
const PASSED_ON_WAIT_MS = 500;
const HAND_OVER_LOOK_MS = 20;

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
  readonly tracing: TracingMode;
  readonly meter: GroupMeter;
}

export class GroupShards {
  readonly #options: GroupShardsOptions;
  readonly #lines: StateLines;
  readonly #own = new Map<number, OwnShard & { readonly news: GroupNews; readonly stop: AbortController }>();
  readonly #catalog: TopicCatalog;
  readonly #patterns: TopicPatterns;
  readonly #repeated: ReturnType<typeof createRepeatedLog>;
  readonly #forgetRoutes: () => void;
  readonly #tick: ReturnType<typeof setInterval>;
  #hints: readonly ShardHint[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(options: GroupShardsOptions) {
    this.#options = options;
    this.#repeated = createRepeatedLog(options.logger, systemClock);
    this.#lines = new StateLines(options.logger, systemTimers);
    const { table } = options.routes;
    this.#patterns = new TopicPatterns(options.routes);
    this.#catalog = topicCatalog(table, this.#patterns);
    this.#forgetRoutes = options.routes.onChange(() => this.#onRoutes());
    this.#tick = setInterval(() => {
      for (const { sessions } of this.#own.values()) sessions.tick();
    }, TICK_MS);
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

  /** Shards by the public address of their instance, '' = this one. Throws GROUP_LOADING while one has no instance. */
  placement(): ReadonlyMap<string, readonly number[]> {
    const placement = new Map<string, number[]>();
    const orphans = this.#hints.filter(({ instanceId }) => instanceId === '').map(({ shard }) => shard);
    if (this.#hints.length === 0 || orphans.length > 0) throw notServed(orphans);
    for (const { shard, instanceId, address } of this.#hints) {
      const where = instanceId === this.#options.instanceId ? '' : address;
      placement.set(where, [...(placement.get(where) ?? []), shard]);
    }
    return placement;
  }

  /** The shards named, served here. Waits for those that are being taken over; throws GROUP_LOADING for any other. */
  async served(shards: readonly number[], waitMs: number): Promise<readonly OwnShard[]> {
    const deadlineAtMs = performance.now() + waitMs;
    const found: OwnShard[] = [];
    const mine = new Set(
      this.#hints.filter((hint) => hint.instanceId === this.#options.instanceId).map((h) => h.shard),
    );
    for (const shard of shards) {
      while (!this.#closed && mine.has(shard) && !this.#own.has(shard) && performance.now() < deadlineAtMs)
        await this.#options.routes.nextChange(Math.min(OPEN_RETRY_MS, Math.max(1, deadlineAtMs - performance.now())));
      const own = this.#own.get(shard);
      if (own === undefined || !(await own.owner.serving(Math.max(0, deadlineAtMs - performance.now()))))
        throw notServed([shard]);
      found.push(own);
    }
    return found;
  }

  /** Address of the other instance that shall have the group, undefined = this one, or nobody is known. */
  elsewhere(group: string): string | undefined {
    const hint = this.#hintOf(this.#shardOf(group));
    return this.#isElsewhere(hint) ? hint.address : undefined;
  }

  /** True when it is known which instance shall have the group. */
  isPlaced(group: string): boolean {
    return (this.#hintOf(this.#shardOf(group))?.instanceId ?? '') !== '';
  }

  /** Resolves when that is known, or after `waitMs`. */
  async placed(group: string, waitMs: number): Promise<void> {
    const deadlineAtMs = performance.now() + waitMs;
    for (let leftMs = waitMs; leftMs > 0 && !this.isPlaced(group) && !this.#closed;) {
      await this.#options.routes.nextChange(Math.min(leftMs, OPEN_RETRY_MS));
      leftMs = deadlineAtMs - performance.now();
    }
  }

  /** Resolves when other instances have all shards, when there is no other instance, or after `waitMs`. */
  async handedOver(waitMs: number): Promise<void> {
    const deadlineAtMs = performance.now() + waitMs;
    const alone = this.#hints.every(({ instanceId }) => instanceId === this.#options.instanceId || instanceId === '');
    while (!alone && this.#own.size > 0 && performance.now() < deadlineAtMs) await pause(HAND_OVER_LOOK_MS);
  }

  /**
   * The shard of a group, served here. Waits for one that is being taken over. Throws NOT_GROUP_OWNER with the owner's
   * address when another instance has it, GROUP_LOADING when nobody serves it within `waitMs`. A call that was passed on
   * to this instance may be ahead of what it is told: it waits for that a little.
   */
  async of(group: string, waitMs: number, wasPassedOn: boolean): Promise<OwnShard> {
    const startedMs = performance.now();
    const deadlineAtMs = startedMs + waitMs;
    for (;;) {
      const leftMs = deadlineAtMs - performance.now();
      const shard = this.#shardOf(group);
      const own = shard === undefined ? undefined : this.#own.get(shard);
      if (own !== undefined && (await own.owner.serving(Math.max(0, leftMs)))) return own;
      const hint = this.#hintOf(shard);
      const mayChange = wasPassedOn && performance.now() - startedMs < PASSED_ON_WAIT_MS;
      if (this.#isElsewhere(hint) && !mayChange) {
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
    clearInterval(this.#tick);
    this.#forgetRoutes();
    this.#patterns.close();
    for (const shard of [...this.#own.keys()]) this.#stop(shard);
    this.#lines.flush();
  }

  #isElsewhere(hint: ShardHint | undefined): hint is ShardHint {
    return hint !== undefined && hint.instanceId !== '' && hint.instanceId !== this.#options.instanceId;
  }

  #hintOf(shard: number | undefined): ShardHint | undefined {
    return this.#hints.find((candidate) => candidate.shard === shard);
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
    const { calls, instanceId, logger, meter, tracing } = this.#options;
    const lines = this.#lines;
    const stop = new AbortController();
    const name = { topicId, topic: GROUPS_TOPIC, partition: shard };
    const log = new ShardLog(calls, name, instanceId, stop.signal);
    const sessions = new MemberSessions(this.#catalog, logger, lines);
    const wallMs = (): number => systemClock.wallMs();
    const news: GroupNews = new GroupNews({ lines, tracing, state: () => owner.state });
    const listener = new RebalanceCount(both(news, sessions), meter, () => owner.state);
    const shared = { catalog: this.#catalog, logger, lines, tracing, meter, wallMs, listener };
    const owner: ShardOwner = new ShardOwner({ shard, log, ...shared });
    this.#own.set(shard, { owner, sessions, news, stop });
    sessions.start(owner);
    owner.start();
  }

  #stop(shard: number): void {
    const own = this.#own.get(shard);
    if (own === undefined) return;
    this.#own.delete(shard);
    own.owner.stop();
    own.sessions.stop();
    own.news.stop();
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

function both(first: ShardListener, second: ShardListener): ShardListener {
  return {
    onServing: () => {
      first.onServing();
      second.onServing();
    },
    onChanged: (groups, decidedMs) => {
      first.onChanged(groups, decidedMs);
      second.onChanged(groups, decidedMs);
    },
  };
}

function notServed(shards: readonly number[]): PartitaError {
  const which = shards.length === 0 ? 'the shards of groups are' : `shard ${shards.join(', ')} of the groups is`;
  const message = `${which} being loaded by another owner; try again in a moment`;
  return new PartitaError('GROUP_LOADING', message, {}, { retryAfterMs: 200 });
}
