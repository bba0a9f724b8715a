/**
 * The directory as a service last heard of it: endpoints, brokers, routes. The coordinator's feed fills it; GetCluster,
 * GetRoutes and WatchRoutes answer from it, so they also answer while no coordinator does.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '@partita/domain';
import { TopicRoute } from '@partita/protocol';
import type { Broker, ServiceEndpoint } from '@partita/protocol';

/** One state of the directory. Never changed in place: a new state is a new object. */
export interface Directory {
  /** Empty until the first update. */
  readonly clusterId: string;
  readonly endpoints: readonly ServiceEndpoint[];
  readonly brokers: readonly Broker[];
  /** One per topic. */
  readonly routes: readonly TopicRoute[];
}

/** What a changed directory changed. */
export interface DirectoryChange {
  /** Topics that are new or differ. */
  readonly changed: readonly TopicRoute[];
  /** Topics that are gone, or replaced by another of their name. */
  readonly deleted: readonly TopicRoute[];
  readonly brokersChanged: boolean;
  readonly endpointsChanged: boolean;
}

/** The reading side. */
export interface DirectoryView {
  snapshot(): Directory;
  /** Route of a topic by name. */
  routeOf(topic: string): TopicRoute | undefined;
  /** Route of a topic by id. */
  routeOfId(topicId: string): TopicRoute | undefined;
  /** Bytes of a route as a message. Routes are replaced, never changed: each is measured once for all who watch it. */
  bytesOf(route: TopicRoute): number;
  /** Calls `listener` after each change; returns how to stop. */
  onChange(listener: (change: DirectoryChange) => void): () => void;
  /** When the directory was last confirmed, on the monotonic clock; clients are told its age. */
  readonly updatedAtMonotonicMs: number;
}

/** A directory that its owner updates. */
export class DirectoryHolder implements DirectoryView {
  readonly #clock: Clock;
  readonly #listeners = new Set<(change: DirectoryChange) => void>();
  readonly #routeBytes = new WeakMap<TopicRoute, number>();
  #directory: Directory = { clusterId: '', endpoints: [], brokers: [], routes: [] };
  #byName = new Map<string, TopicRoute>();
  #byId = new Map<string, TopicRoute>();
  #updatedAtMonotonicMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#updatedAtMonotonicMs = clock.monotonicMs();
  }

  get updatedAtMonotonicMs(): number {
    return this.#updatedAtMonotonicMs;
  }

  snapshot(): Directory {
    return this.#directory;
  }

  routeOf(topic: string): TopicRoute | undefined {
    return this.#byName.get(topic);
  }

  routeOfId(topicId: string): TopicRoute | undefined {
    return this.#byId.get(topicId);
  }

  bytesOf(route: TopicRoute): number {
    const known = this.#routeBytes.get(route);
    if (known !== undefined) return known;
    const bytes = TopicRoute.encode(route).finish().length;
    this.#routeBytes.set(route, bytes);
    return bytes;
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Replaces the named parts. The caller hands over what it passes and changes it no more; objects that stay the same
   * are compared by identity first, so a feed that reuses them is cheap. Listeners hear of differences only.
   */
  update(parts: Partial<Directory>): void {
    const before = this.#directory;
    const beforeById = this.#byId;
    const after = { ...before, ...parts };
    this.#updatedAtMonotonicMs = this.#clock.monotonicMs();
    this.#directory = after;
    let changed: TopicRoute[] = [];
    let deleted: TopicRoute[] = [];
    if (after.routes !== before.routes) {
      this.#byName = new Map(after.routes.map((route) => [route.topic, route]));
      this.#byId = new Map(after.routes.map((route) => [route.topicId, route]));
      changed = after.routes.filter((route) => !same(beforeById.get(route.topicId), route));
      deleted = before.routes.filter((route) => !this.#byId.has(route.topicId));
    }
    const brokersChanged = !same(before.brokers, after.brokers);
    const endpointsChanged = !same(before.endpoints, after.endpoints);
    if (changed.length === 0 && deleted.length === 0 && !brokersChanged && !endpointsChanged) return;
    for (const listener of this.#listeners) listener({ changed, deleted, brokersChanged, endpointsChanged });
  }

  /** The state was confirmed and is as before. */
  confirm(): void {
    this.#updatedAtMonotonicMs = this.#clock.monotonicMs();
  }
}

function same(a: unknown, b: unknown): boolean {
  return a === b || isDeepStrictEqual(a, b);
}
