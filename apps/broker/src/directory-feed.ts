/**
 * From the coordinators' messages to the directory that this broker answers from. A state comes in parts: `reset` begins
 * it, `complete` ends it; what is between is kept aside. News of an older lease than any session shows is dropped.
 */
import type { DirectoryUpdate, TopicRoute, WatchRoutesResponse } from '@partita/protocol';
import type { DirectoryHolder } from '@partita/rpc/server';

/**
 * The leases that coordinators show, by session. What a session has shown counts only while it is open: when Redis and all
 * coordinators lose their memory leases are counted from 1 again, and the newest one must be heard.
 */
export class ShownLeases {
  readonly #tokens = new Map<DirectoryFeed, bigint>();

  /** True = no other session shows a newer lease. */
  note(feed: DirectoryFeed, token: bigint): boolean {
    this.#tokens.set(feed, token);
    return [...this.#tokens.values()].every((shown) => shown <= token);
  }

  forget(feed: DirectoryFeed): void {
    this.#tokens.delete(feed);
  }
}

/** One session's news. */
export class DirectoryFeed {
  readonly #holder: DirectoryHolder;
  readonly #leases: ShownLeases;
  /** A whole state that is not complete yet. */
  #partial: TopicRoute[] | undefined;

  constructor(holder: DirectoryHolder, leases: ShownLeases) {
    this.#holder = holder;
    this.#leases = leases;
  }

  apply(update: DirectoryUpdate): void {
    const { routes: message, leaseToken } = update;
    if (message === undefined || !this.#leases.note(this, leaseToken)) return;
    if (message.reset) this.#partial = [];
    if (this.#partial !== undefined) {
      this.#partial.push(...message.routes);
      if (!message.complete) return this.#updateServices(message);
      const routes = this.#partial;
      this.#partial = undefined;
      this.#updateServices(message);
      this.#holder.update({ routes });
      return;
    }
    this.#updateServices(message);
    if (message.routes.length === 0 && message.deletedTopicIds.length === 0) return;
    const byId = new Map(this.#holder.snapshot().routes.map((route) => [route.topicId, route]));
    for (const topicId of message.deletedTopicIds) byId.delete(topicId);
    for (const route of message.routes) byId.set(route.topicId, newer(byId.get(route.topicId), route));
    this.#holder.update({ routes: [...byId.values()] });
  }

  /** The session is over. */
  close(): void {
    this.#partial = undefined;
    this.#leases.forget(this);
  }

  /** The state was confirmed and is as before. */
  confirm(): void {
    this.#holder.confirm();
  }

  #updateServices({ brokers, endpoints }: WatchRoutesResponse): void {
    if (brokers.length > 0) this.#holder.update({ brokers });
    if (endpoints.length > 0) this.#holder.update({ endpoints });
  }
}

/** Of one version the partition with the higher leader epoch holds; news may overtake each other. */
function newer(known: TopicRoute | undefined, route: TopicRoute): TopicRoute {
  if (known === undefined || route.version > known.version) return route;
  if (route.version < known.version) return known;
  const knownByNumber = new Map(known.partitions.map((partition) => [partition.partition, partition]));
  const partitions = route.partitions.map((partition) => {
    const before = knownByNumber.get(partition.partition);
    return before !== undefined && before.leaderEpoch > partition.leaderEpoch ? before : partition;
  });
  return { ...route, partitions };
}
