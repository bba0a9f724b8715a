/**
 * Routes, brokers and endpoints as everybody should know them, kept in two DirectoryHolders: one from which GetCluster, GetRoutes
 * and WatchRoutes answer, and one that is sent to brokers through their sessions. Brokers are also told of topics that are being
 * created, once leaders are elected: followers find their leaders before the first client writes. A topic that brokers know is
 * never given up (creation-fate.ts).
 */
import { creationFate } from '@partita/cluster';
import { ServiceKind } from '@partita/protocol';
import type { ServiceEndpoint, TopicRoute, WatchRoutesResponse } from '@partita/protocol';
import { RESPONSE_BYTES_MAX } from '@partita/domain';
import type { Directory, DirectoryHolder, DirectoryView } from '@partita/rpc/server';
import type { ClusterModel, ModelChange } from '../cluster-model.ts';
import type { Lease } from '../directory/lease.ts';
import { brokerEndpoint, brokerMessage, instanceEndpoint, routeMessage } from '../topics/topic-messages.ts';

export interface RouteFeedOptions {
  readonly clusterId: string;
  readonly runId: string;
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly holder: DirectoryHolder;
  readonly brokersHolder: DirectoryHolder;
  /** Public address of this coordinator. */
  readonly address: () => string;
}

export class RouteFeed {
  readonly #options: RouteFeedOptions;
  readonly #routes = new Map<string, TopicRoute>();
  readonly #brokersRoutes = new Map<string, TopicRoute>();

  constructor(options: RouteFeedOptions) {
    this.#options = options;
    options.model.onChange((change) => this.#take(change));
    options.lease.onChange(() => this.#updateEndpoints());
  }

  /** Tells the directory that it is current, and what the coordinator's own address is. */
  start(): void {
    this.#updateBoth({ clusterId: this.#options.clusterId, endpoints: this.#endpoints() });
  }

  /** The directory has been looked at, and nothing is newer. */
  confirm(): void {
    this.#options.holder.confirm();
  }

  #take(change: ModelChange): void {
    const { holder, brokersHolder, model } = this.#options;
    const parts: { -readonly [Name in keyof Directory]?: Directory[Name] } = {};
    if (change.brokerIds.size > 0) {
      parts.brokers = [...model.state.brokers()]
        .map(({ facts }) => brokerMessage(facts))
        .sort((a, b) => a.brokerId - b.brokerId);
    }
    if (change.brokerIds.size > 0 || change.instances) parts.endpoints = this.#endpoints();
    if (change.topicIds.size === 0) return this.#updateBoth(parts);
    for (const topicId of change.topicIds) this.#route(topicId);
    holder.update({ ...parts, routes: [...this.#routes.values()] });
    brokersHolder.update({ ...parts, routes: [...this.#brokersRoutes.values()] });
  }

  #updateBoth(parts: Partial<Directory>): void {
    this.#options.holder.update(parts);
    this.#options.brokersHolder.update(parts);
  }

  /** Topics that are not complete yet, or on their way out, have no route. */
  #route(topicId: string): void {
    const { state } = this.#options.model;
    const topic = state.topicById(topicId);
    this.#routes.delete(topicId);
    this.#brokersRoutes.delete(topicId);
    if (topic === undefined || topic.life === 'deleting') return;
    if (topic.life === 'creating' && creationFate(state, topic) !== 'complete') return;
    const route = routeMessage(state, topic);
    this.#brokersRoutes.set(topicId, route);
    // To show one that is unfinished is a nuisance, to hide one that is finished would be a loss.
    if (topic.life !== 'creating') this.#routes.set(topicId, route);
  }

  #updateEndpoints(): void {
    this.#updateBoth({ endpoints: this.#endpoints() });
  }

  #endpoints(): ServiceEndpoint[] {
    const { model, lease, runId, address } = this.#options;
    const other = lease.otherHolder();
    const own = coordinatorEndpoint(address(), runId, lease.status() !== 'standby');
    const active = other === undefined || own.active ? [] : [coordinatorEndpoint(other.url, other.run, true)];
    const live = [...model.state.brokers()].filter(({ facts }) => facts.status !== 'down').map(({ facts }) => facts);
    return [
      own,
      ...active,
      ...live.sort((a, b) => a.brokerId - b.brokerId).map(brokerEndpoint),
      ...[...model.state.instances()].map(instanceEndpoint),
    ];
  }
}

function coordinatorEndpoint(address: string, instanceId: string, active: boolean): ServiceEndpoint {
  return { service: ServiceKind.SERVICE_KIND_COORDINATOR, address, brokerId: 0, instanceId, active };
}

/** What changed of a directory, or all of it, for a session. */
export interface DirectoryNews {
  readonly reset: boolean;
  readonly routes: readonly TopicRoute[];
  readonly deletedTopicIds: readonly string[];
  readonly brokers: Directory['brokers'];
  readonly endpoints: Directory['endpoints'];
}

/** The news as messages that stay below RESPONSE_BYTES_MAX; the last one says that the state is complete. */
export function directoryMessages(view: DirectoryView, news: DirectoryNews): WatchRoutesResponse[] {
  const parts: TopicRoute[][] = [[]];
  let bytes = 0;
  for (const route of news.routes) {
    const size = view.bytesOf(route);
    if (bytes > 0 && bytes + size > RESPONSE_BYTES_MAX) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(route);
    bytes += size;
  }
  return parts.map((routes, index) => ({
    reset: news.reset && index === 0,
    complete: index === parts.length - 1,
    routes,
    deletedTopicIds: index === 0 ? [...news.deletedTopicIds] : [],
    brokers: index === 0 ? [...news.brokers] : [],
    endpoints: index === 0 ? [...news.endpoints] : [],
  }));
}
