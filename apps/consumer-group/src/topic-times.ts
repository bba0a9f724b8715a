/**
 * Which time the records of a topic have: the producer's, or (timestamp_type APPEND) the leader's at append. Routes do
 * not say it, so a coordinator is asked once per topic version; while none answers the last known answer holds, or else
 * the default.
 */
import type { RouteCache } from '@partita/client';
import { ServiceKind, TimestampType, TopicServiceService } from '@partita/protocol';
import type { TopicRoute } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';

const DEADLINE_MS = 2000;
/** Topics remembered; the oldest is asked for again. */
const TOPIC_COUNT_MAX = 10_000;

export class TopicTimes {
  readonly #routes: RouteCache;
  readonly #pool: ChannelPool;
  /** By topic id. */
  readonly #known = new Map<string, { readonly version: bigint; readonly isAppend: boolean }>();

  constructor(routes: RouteCache, pool: ChannelPool) {
    this.#routes = routes;
    this.#pool = pool;
  }

  /** True when readers see the append time, as far as known. */
  isAppendTime(topicId: string): boolean {
    return this.#known.get(topicId)?.isAppend ?? false;
  }

  /** Makes sure that the topic's answer is known, if a coordinator can be asked. Never rejects. */
  async load(route: TopicRoute): Promise<void> {
    if (this.#known.get(route.topicId)?.version === route.version) return;
    for (const address of this.#coordinators()) {
      try {
        const client = this.#pool.client(address);
        const { topic } = await callUnary(
          client,
          TopicServiceService.getTopic,
          { topic: route.topicId },
          { deadlineMs: DEADLINE_MS },
        );
        const isAppend = topic?.settings?.timestampType === TimestampType.TIMESTAMP_TYPE_APPEND;
        this.#remember(route.topicId, route.version, isAppend);
        return;
      } catch {
        // The next coordinator may answer.
      }
    }
  }

  #remember(topicId: string, version: bigint, isAppend: boolean): void {
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= TOPIC_COUNT_MAX) this.#known.delete(oldest);
    this.#known.delete(topicId);
    this.#known.set(topicId, { version, isAppend });
  }

  /** The active one first. */
  #coordinators(): string[] {
    const all = this.#routes.table.endpoints.filter(
      (endpoint) => endpoint.service === ServiceKind.SERVICE_KIND_COORDINATOR,
    );
    return [...all].sort((a, b) => Number(b.active) - Number(a.active)).map((endpoint) => endpoint.address);
  }
}
