/**
 * Keeps a RouteTable current by watching any listener of the cluster: the seeds first, then every endpoint that became
 * known. While nobody answers the last state stays in use, so that producing and consuming go on.
 */
import { asPartitaError, PartitaError } from '@partita/domain';
import { ClusterServiceService, ServiceKind } from '@partita/protocol';
import type { TopicRoute, WatchRoutesResponse } from '@partita/protocol';
import { backoffDelayMs, callUnary, openServerStream } from '@partita/rpc/client';
import type { ChannelPool, ReadStream } from '@partita/rpc/client';
import { JITTER } from './jitter.ts';
import { pause } from './pause.ts';
import { RouteTable } from './route-table.ts';
import type { LeaderRoute } from './route-table.ts';

/** Addresses asked in turn when a topic is not known. */
const REFRESH_ADDRESS_COUNT_MAX = 3;
/** One name is asked for at most this often. */
const REFRESH_INTERVAL_MS = 100;
/** A topic whose leader does not answer is asked for at most this often. */
const LEADER_REFRESH_INTERVAL_MS = 500;
const LEADER_REFRESH_DEADLINE_MS = 1000;
/** Topics asked for within that time: a broker that dies leaves many without a leader, and the watch tells of most. */
const LEADER_REFRESH_COUNT_MAX = 16;
const REFRESH_DEADLINE_MS = 3000;

export interface RouteCacheOptions {
  /** Addresses to begin with, `host:port`; at least one. */
  readonly seeds: readonly string[];
  readonly pool: ChannelPool;
}

export class RouteCache {
  readonly table = new RouteTable();
  readonly #options: RouteCacheOptions;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #refreshes = new Map<string, Promise<void>>();
  /** Names of topics whose leaders were asked for less than LEADER_REFRESH_INTERVAL_MS ago. */
  readonly #leaderRefreshes = new Set<string>();
  #stream: ReadStream | undefined;
  #attempt = 0;

  constructor(options: RouteCacheOptions) {
    this.#options = options;
  }

  /** Begins to watch. Returns at once; `resolve` waits for what it needs. */
  start(): void {
    void this.#watch();
  }

  close(): void {
    this.#closing.abort();
    this.#stream?.cancel();
    this.#listeners.clear();
  }

  /** Calls `listener` after every change; returns its removal. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  leader(topicId: string, partition: number): LeaderRoute | undefined {
    return this.table.leader(topicId, partition);
  }

  /** Takes in the hint of a NOT_LEADER answer. */
  applyHint(error: PartitaError): void {
    if (this.table.applyHint(error)) this.#changed();
  }

  /** Resolves when something changes, after `waitMsMax` at the latest. */
  nextChange(waitMsMax: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        remove();
        resolve();
      };
      const timer = setTimeout(done, waitMsMax);
      const remove = this.onChange(done);
    });
  }

  /**
   * The route of a topic when it is known and nobody waits for it in `resolve`: whoever goes on at once would overtake those
   * who do.
   */
  lookup(name: string): TopicRoute | undefined {
    return this.#refreshes.has(name) ? undefined : this.table.topic(name);
  }

  /**
   * The route of a topic by name, asked for when it is not known. Throws TOPIC_NOT_FOUND, or SERVICE_UNREACHABLE when
   * nobody could be asked. Callers go on in the order in which they came.
   */
  async resolve(name: string): Promise<TopicRoute> {
    const known = this.lookup(name);
    if (known !== undefined) return known;
    let refresh = this.#refreshes.get(name);
    if (refresh === undefined) {
      refresh = this.#refresh(name);
      this.#refreshes.set(name, refresh);
      void refresh
        .catch(() => undefined)
        .then(() => pause(REFRESH_INTERVAL_MS))
        .then(() => this.#refreshes.delete(name));
    }
    await refresh;
    const found = this.table.topic(name);
    if (found !== undefined) return found;
    throw new PartitaError(
      'TOPIC_NOT_FOUND',
      `topic "${name}" does not exist; create it: npx partita topic create ${name}`,
      {
        topic: name,
      },
    );
  }

  /**
   * A leader of the topic is missing or does not answer, and whoever is watched may be as ignorant: asks others too. Their
   * answers are news like any other, of which the highest epoch holds.
   */
  suspectLeader(name: string): void {
    const isAsked = this.#leaderRefreshes.has(name) || this.#leaderRefreshes.size >= LEADER_REFRESH_COUNT_MAX;
    if (isAsked || this.#closing.signal.aborted) return;
    this.#leaderRefreshes.add(name);
    const untilMs = performance.now() + LEADER_REFRESH_DEADLINE_MS;
    const asked = this.#someAddresses().map((address) => this.#askOne(address, name, untilMs).catch(() => undefined));
    void Promise.all(asked)
      .then(() => pause(LEADER_REFRESH_INTERVAL_MS))
      .then(() => this.#leaderRefreshes.delete(name));
  }

  /** Asks until somebody answers: at the start of a cluster, and after a failure, a moment passes before anybody does. */
  async #refresh(name: string): Promise<void> {
    const untilMs = performance.now() + REFRESH_DEADLINE_MS;
    for (;;) {
      const failure = await this.#ask(name, untilMs);
      if (failure === undefined || this.table.topic(name) !== undefined) return;
      if (performance.now() >= untilMs || this.#closing.signal.aborted) throw failure;
      await this.nextChange(REFRESH_INTERVAL_MS);
    }
  }

  /**
   * Undefined when somebody has answered, else why nobody did. Who does not know the topic may only be behind, so the next is
   * asked before it counts as missing.
   */
  async #ask(name: string, untilMs: number): Promise<PartitaError | undefined> {
    let failure = new PartitaError('SERVICE_UNREACHABLE', 'no address of the cluster is known');
    let isUnknown = false;
    for (const address of this.#someAddresses()) {
      try {
        await this.#askOne(address, name, untilMs);
        return undefined;
      } catch (thrown) {
        failure = asPartitaError(thrown);
        isUnknown ||= failure.reason === 'TOPIC_NOT_FOUND';
      }
    }
    return isUnknown ? undefined : failure;
  }

  async #askOne(address: string, name: string, untilMs: number): Promise<void> {
    const request = { topics: [name] };
    const options = { deadlineMs: Math.max(1, untilMs - performance.now()), signal: this.#closing.signal };
    const client = this.#options.pool.client(address);
    const answer = await callUnary(client, ClusterServiceService.getRoutes, request, options);
    this.table.applyAnswer(answer);
    this.#changed();
  }

  #someAddresses(): string[] {
    return this.#addresses().slice(0, REFRESH_ADDRESS_COUNT_MAX);
  }

  /**
   * The active coordinator, then the seeds, then every other endpoint that coordinators feed: each once. Gateways and
   * consumer-group instances know what they watch themselves; two that watched each other would hear nothing new.
   */
  #addresses(): string[] {
    const endpoints = this.table.endpoints.filter(({ service }) => FED_BY_COORDINATORS.has(service));
    const active = endpoints.filter((endpoint) => endpoint.active).map((endpoint) => endpoint.address);
    return [...new Set([...active, ...this.#options.seeds, ...endpoints.map((endpoint) => endpoint.address)])];
  }

  async #watch(): Promise<void> {
    let next = 0;
    while (!this.#closing.signal.aborted) {
      const addresses = next === 0 ? [...this.#options.seeds] : this.#addresses();
      const address = addresses[next % addresses.length];
      next += 1;
      if (address === undefined) return;
      await this.#watchOne(address);
      if (this.#attempt > 0) await pause(backoffDelayMs(this.#attempt, JITTER), this.#closing.signal);
      this.#attempt += 1;
    }
  }

  async #watchOne(address: string): Promise<void> {
    const client = this.#options.pool.client(address);
    let isFed = true;
    const stream = openServerStream(
      client,
      ClusterServiceService.watchRoutes,
      { topics: [] },
      {
        onMessage: (update) => {
          isFed &&= !update.reset || isFromCoordinator(update);
          if (!isFed) return stream.cancel();
          this.#attempt = 0;
          this.table.apply(update);
          if (update.complete || !update.reset) this.#changed();
        },
      },
    );
    this.#stream = stream;
    await stream.closed;
    this.#stream = undefined;
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

const FED_BY_COORDINATORS: ReadonlySet<ServiceKind> = new Set<ServiceKind>([
  ServiceKind.SERVICE_KIND_COORDINATOR,
  ServiceKind.SERVICE_KIND_BROKER,
]);

/** False for the state of a broker that was started while no coordinator runs: it knows itself only. */
function isFromCoordinator({ endpoints }: WatchRoutesResponse): boolean {
  return endpoints.length === 0 || endpoints.some(({ service }) => service === ServiceKind.SERVICE_KIND_COORDINATOR);
}
