/**
 * Knows about how far the groups of this instance are behind, for the gauges. Every few seconds the leaders are asked, each
 * once for all of its partitions, about those that are not known to be done; a group that keeps up costs nothing. Groups
 * take turns when there are more partitions than one round may ask about.
 */
import { GROUP_LAG_INTERVAL_MS, GROUP_LAG_PARTITION_COUNT_MAX, PartitaError, partitionKey } from '@partita/domain';
import type { Group } from '@partita/groups';
import type { ListOffsetsResult } from '@partita/protocol';
import type { Logger } from '@partita/runtime';
import { lagEntries, lagOf } from './group-lag.ts';
import type { KnownTopics, LagEntry } from './group-lag.ts';
import type { LeaderCalls } from './leader-calls.ts';
import type { OpenFeeds } from './open-feeds.ts';
import type { ShardOwner } from './shard-owner.ts';

export interface LagWatchOptions {
  readonly shards: { all(): readonly { readonly owner: Pick<ShardOwner, 'phase' | 'state'> }[] };
  readonly routes: KnownTopics;
  readonly calls: Pick<LeaderCalls, 'listOffsets'>;
  readonly feeds: Pick<OpenFeeds, 'isDone'>;
  readonly logger: Logger;
}

/** Of all partitions of a topic that the group uses. */
export interface TopicLag {
  readonly topic: string;
  readonly records: number;
  readonly bytes: number;
  /** When the oldest record that is not committed was appended, milliseconds UTC; undefined = nothing waits. */
  readonly sinceMs: number | undefined;
}

interface PartitionLag {
  readonly topic: string;
  readonly records: bigint;
  readonly bytes: bigint;
  readonly sinceMs: number | undefined;
}

interface Question {
  readonly group: string;
  readonly key: string;
  readonly entry: LagEntry;
}

export class LagWatch {
  readonly #options: LagWatchOptions;
  /** By group, then by partitionKey. */
  #lags = new Map<string, Map<string, PartitionLag>>();
  /** The group behind which the next round begins. */
  #lastAsked = '';
  #timer: ReturnType<typeof setInterval> | undefined;
  #isLooking = false;
  readonly #closed = new AbortController();

  constructor(options: LagWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), GROUP_LAG_INTERVAL_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#closed.abort();
  }

  /** By topic, as the last rounds found it; nothing of a group that no round has come to. */
  lagsOf(group: string): TopicLag[] {
    const byTopic = new Map<string, TopicLag>();
    for (const { topic, records, bytes, sinceMs } of this.#lags.get(group)?.values() ?? []) {
      const sum = byTopic.get(topic) ?? { topic, records: 0, bytes: 0, sinceMs: undefined };
      byTopic.set(topic, {
        topic,
        records: sum.records + Number(records),
        bytes: sum.bytes + Math.max(0, Number(bytes)),
        sinceMs: earlier(sum.sinceMs, sinceMs),
      });
    }
    return [...byTopic.values()];
  }

  /** One round. Never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#ask(this.#questions());
    } catch (thrown) {
      this.#options.logger.debug({ err: thrown }, 'how far groups are behind is asked again later');
    } finally {
      this.#isLooking = false;
    }
  }

  /** Notes what needs no question, and forgets groups that are served elsewhere. */
  #questions(): Question[] {
    const { routes, feeds } = this.#options;
    const groups = this.#groupsInTurn();
    this.#lags = new Map(groups.map(({ id }) => [id, this.#lags.get(id) ?? new Map<string, PartitionLag>()]));
    const questions: Question[] = [];
    for (const group of groups) {
      const entries = lagEntries(group, routes);
      if (questions.length > 0 && questions.length + entries.length > GROUP_LAG_PARTITION_COUNT_MAX) break;
      const before = this.#lags.get(group.id);
      const now = new Map<string, PartitionLag>();
      for (const entry of entries) {
        const key = partitionKey(entry);
        if (feeds.isDone(group.id, entry, group.offsets.get(key)?.nextOffset)) {
          now.set(key, { topic: entry.topic, records: 0n, bytes: 0n, sinceMs: undefined });
          continue;
        }
        // What a leader does not answer stays as it was.
        const known = before?.get(key);
        if (known !== undefined) now.set(key, known);
        if (questions.length < GROUP_LAG_PARTITION_COUNT_MAX) questions.push({ group: group.id, key, entry });
      }
      this.#lags.set(group.id, now);
      this.#lastAsked = group.id;
    }
    return questions;
  }

  /** Those served here, the one that has waited longest first. */
  #groupsInTurn(): Group[] {
    const serving = this.#options.shards.all().filter(({ owner }) => owner.phase === 'serving');
    const groups = serving.flatMap(({ owner }) => [...owner.state.values()]);
    const next = groups.findIndex(({ id }) => id === this.#lastAsked) + 1;
    return [...groups.slice(next), ...groups.slice(0, next)];
  }

  async #ask(questions: readonly Question[]): Promise<void> {
    if (questions.length === 0) return;
    const limits = { deadlineMs: GROUP_LAG_INTERVAL_MS / 2, signal: this.#closed.signal };
    const answers = await this.#options.calls.listOffsets(
      questions.map(({ entry }) => entry),
      limits,
    );
    for (const [index, question] of questions.entries()) this.#note(question, answers[index]);
  }

  #note({ group, key, entry }: Question, answer: ListOffsetsResult | PartitaError | undefined): void {
    if (answer === undefined || answer instanceof PartitaError) return;
    const { lagRecords, lagBytes, firstAppendTimeMs } = lagOf(answer);
    const sinceMs = firstAppendTimeMs === undefined ? undefined : Number(firstAppendTimeMs);
    this.#lags.get(group)?.set(key, { topic: entry.topic, records: lagRecords, bytes: lagBytes, sinceMs });
  }
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}
