/**
 * Looks each hour for committed offsets that nobody needs any more (libs/groups, expiry.ts) and drops them. A topic's
 * retention is asked of the coordinators, and only for offsets that could go; while nobody answers they stay.
 */
import { asPartitaError } from '@partita/domain';
import type { RouteCache } from '@partita/client';
import { expiredOffsets, isAbandoned } from '@partita/groups';
import type { Group } from '@partita/groups';
import { ServiceKind, TopicServiceService } from '@partita/protocol';
import type { Topic } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { parseDuration } from '@partita/runtime';
import type { Logger } from '@partita/runtime';
import type { ShardOwner } from './shard-owner.ts';

export interface OffsetExpiryOptions {
  readonly shards: { all(): readonly { readonly owner: Pick<ShardOwner, 'phase' | 'state' | 'submit'> }[] };
  readonly routes: { readonly table: Pick<RouteCache['table'], 'complete' | 'topicById'> };
  /** A topic as its coordinator tells it. */
  readonly topic: (name: string) => Promise<Topic>;
  readonly logger: Logger;
  readonly wallMs: () => number;
}

const LOOK_MS = 60 * 60 * 1000;
const KEPT_FOR_EVER = -1;

export class OffsetExpiry {
  readonly #options: OffsetExpiryOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #looking = false;

  constructor(options: OffsetExpiryOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** One look at every group that is served here. Never rejects. */
  async look(): Promise<void> {
    const { shards, routes, logger } = this.#options;
    // Without the whole directory every topic that is not yet known would look deleted.
    if (this.#looking || !routes.table.complete) return;
    this.#looking = true;
    const retentions = new Map<string, number>();
    for (const { owner } of shards.all()) {
      if (owner.phase !== 'serving') continue;
      for (const group of [...owner.state.values()]) {
        try {
          await this.#lookAt(owner, group, retentions);
        } catch (thrown) {
          logger.debug({ err: asPartitaError(thrown), group: group.id }, 'offsets are looked at again later');
        }
      }
    }
    this.#looking = false;
  }

  async #lookAt(owner: Pick<ShardOwner, 'submit'>, group: Group, retentions: Map<string, number>): Promise<void> {
    const { routes, wallMs, logger } = this.#options;
    const nowMs = wallMs();
    const exists = (topicId: string): boolean => routes.table.topicById(topicId) !== undefined;
    const candidates = expiredOffsets(group, nowMs, (topicId) => (exists(topicId) ? 0 : undefined));
    for (const { topicId } of candidates) {
      const name = routes.table.topicById(topicId)?.topic;
      if (name !== undefined && !retentions.has(topicId)) retentions.set(topicId, await this.#retentionMs(name));
    }
    const retentionMsOf = (topicId: string): number | undefined =>
      exists(topicId) ? (retentions.get(topicId) ?? KEPT_FOR_EVER) : undefined;
    const partitions = candidates.length === 0 ? [] : expiredOffsets(group, nowMs, retentionMsOf);
    if (partitions.length === 0 && !isAbandoned(group, nowMs)) return;
    await owner.submit({ kind: 'expire', group: group.id, partitions });
    logger.info({ group: group.id, partitions: partitions.length }, 'offsets that nobody has used have expired');
  }

  /** Negative = unlimited, or not known now. */
  async #retentionMs(name: string): Promise<number> {
    try {
      const { effectiveSettings } = await this.#options.topic(name);
      const text = effectiveSettings.find((setting) => setting.name === 'retention_age')?.value;
      return text === undefined || text === 'unlimited' ? KEPT_FOR_EVER : parseDuration(text);
    } catch (thrown) {
      this.#options.logger.debug({ err: thrown, topic: name }, 'the retention of a topic is not known now');
      return KEPT_FOR_EVER;
    }
  }
}

/** Asks the coordinators for topics. */
export function topicAsker(routes: RouteCache, pool: ChannelPool): (name: string) => Promise<Topic> {
  return async (name) => {
    const coordinators = routes.table.endpoints.filter(
      ({ service }) => service === ServiceKind.SERVICE_KIND_COORDINATOR,
    );
    const address = (coordinators.find(({ active }) => active) ?? coordinators[0])?.address ?? '';
    const { topic } = await callUnary(pool.client(address), TopicServiceService.getTopic, { topic: name });
    if (topic === undefined) throw new Error(`the coordinator answered without the topic ${name}`);
    return topic;
  };
}
