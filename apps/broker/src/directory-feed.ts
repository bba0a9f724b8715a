/**
 * From the coordinators' messages to the directory that this broker answers from. A state comes in parts: `reset` begins
 * it, `complete` ends it; what is between is kept aside. News of an older lease than the newest known is dropped.
 */
import type { DirectoryUpdate, TopicRoute, WatchRoutesResponse } from '@partita/protocol';
import type { DirectoryHolder } from '@partita/rpc/server';

/** The newest lease that any coordinator has shown; shared by all sessions. */
export interface LeaseMark {
  token: bigint;
}

/** One session's news. */
export class DirectoryFeed {
  readonly #holder: DirectoryHolder;
  readonly #lease: LeaseMark;
  /** A whole state that is not complete yet. */
  #partial: TopicRoute[] | undefined;

  constructor(holder: DirectoryHolder, lease: LeaseMark) {
    this.#holder = holder;
    this.#lease = lease;
  }

  apply(update: DirectoryUpdate): void {
    const { routes: message, leaseToken } = update;
    if (message === undefined || leaseToken < this.#lease.token) return;
    this.#lease.token = leaseToken;
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
