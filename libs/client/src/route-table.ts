/**
 * What is known of topics, leaders, brokers and endpoints: the fold of WatchRoutes messages and NOT_LEADER hints. Of two
 * routes of a topic the higher version holds, of two leaders of a partition the higher epoch, so that news may arrive
 * from several sources in any order.
 */
import { PartitaError } from '@partita/domain';
import type {
  Broker,
  GetRoutesResponse,
  Partition,
  ServiceEndpoint,
  TopicRoute,
  WatchRoutesResponse,
} from '@partita/protocol';

/** A partition's leader and where it answers. */
export interface LeaderRoute {
  readonly brokerId: number;
  readonly leaderEpoch: number;
  readonly address: string;
}

export class RouteTable {
  readonly #byId = new Map<string, TopicRoute>();
  readonly #byName = new Map<string, TopicRoute>();
  #brokers = new Map<number, Broker>();
  #endpoints: readonly ServiceEndpoint[] = [];
  #seenSinceReset: Set<string> | undefined;

  /** True once a whole state has been received. */
  complete = false;

  topic(name: string): TopicRoute | undefined {
    return this.#byName.get(name);
  }

  topicById(topicId: string): TopicRoute | undefined {
    return this.#byId.get(topicId);
  }

  topics(): readonly TopicRoute[] {
    return [...this.#byId.values()];
  }

  get brokers(): readonly Broker[] {
    return [...this.#brokers.values()];
  }

  get endpoints(): readonly ServiceEndpoint[] {
    return this.#endpoints;
  }

  /** The leader as far as known; undefined when there is none or its address is not known. */
  leader(topicId: string, partition: number): LeaderRoute | undefined {
    const found = this.#byId.get(topicId)?.partitions[partition];
    if (found === undefined || found.leaderId === 0) return undefined;
    const address = this.#brokers.get(found.leaderId)?.address;
    if (address === undefined) return undefined;
    return { brokerId: found.leaderId, leaderEpoch: found.leaderEpoch, address };
  }

  /** Takes in one message of a watch. */
  apply(update: WatchRoutesResponse): void {
    if (update.reset) this.#seenSinceReset = new Set();
    if (update.brokers.length > 0) this.#brokers = new Map(update.brokers.map((broker) => [broker.brokerId, broker]));
    if (update.endpoints.length > 0) this.#endpoints = update.endpoints;
    for (const route of update.routes) {
      this.#seenSinceReset?.add(route.topicId);
      this.#applyRoute(route);
    }
    for (const topicId of update.deletedTopicIds) this.#remove(topicId);
    if (update.complete) {
      const seen = this.#seenSinceReset;
      if (seen !== undefined)
        for (const topicId of [...this.#byId.keys()]) if (!seen.has(topicId)) this.#remove(topicId);
      this.#seenSinceReset = undefined;
      this.complete = true;
    }
  }

  /**
   * Takes in the answer of somebody who was asked and may be behind the watch. Brokers carry no version, and the watch tells
   * of each change once: an old answer must not undo what it told. With a newer route the answer is the newer one, and then
   * its brokers' addresses hold; whether a broker that is known is up, only the watch says.
   */
  applyAnswer({ routes, brokers }: GetRoutesResponse): void {
    const isNewer = routes.some((route) => this.#isNews(route));
    for (const broker of brokers) {
      const known = this.#brokers.get(broker.brokerId);
      if (known === undefined) this.#brokers.set(broker.brokerId, broker);
      else if (isNewer) this.#brokers.set(broker.brokerId, { ...known, address: broker.address });
    }
    for (const route of routes) this.#applyRoute(route);
  }

  /** Takes in what a NOT_LEADER answer tells. True when it was news. */
  applyHint(error: PartitaError): boolean {
    const { topic_id: topicId, partition, leader, leader_epoch: epoch } = error.metadata;
    const found = this.#byId.get(topicId ?? '')?.partitions[Number(partition)];
    const leaderId = Number(leader);
    const leaderEpoch = Number(epoch);
    if (found === undefined || !(leaderId > 0) || !(leaderEpoch > found.leaderEpoch)) return false;
    found.leaderId = leaderId;
    found.leaderEpoch = leaderEpoch;
    return true;
  }

  #isNews({ topicId, version, partitions }: TopicRoute): boolean {
    const known = this.#byId.get(topicId);
    if (known === undefined || known.version !== version) return known === undefined || version > known.version;
    return partitions.some(({ leaderEpoch }, index) => leaderEpoch > (known.partitions[index]?.leaderEpoch ?? -1));
  }

  #applyRoute(route: TopicRoute): void {
    const known = this.#byId.get(route.topicId);
    if (known !== undefined && known.version > route.version) return;
    const partitions = route.partitions.map((partition, index) => newer(known?.partitions[index], partition));
    const merged = { ...route, partitions };
    this.#byId.set(route.topicId, merged);
    this.#byName.set(route.topic, merged);
  }

  #remove(topicId: string): void {
    const route = this.#byId.get(topicId);
    if (route === undefined) return;
    this.#byId.delete(topicId);
    if (this.#byName.get(route.topic)?.topicId === topicId) this.#byName.delete(route.topic);
  }
}

function newer(known: Partition | undefined, received: Partition): Partition {
  return known !== undefined && known.leaderEpoch > received.leaderEpoch ? known : received;
}
