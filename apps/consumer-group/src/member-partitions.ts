/**
 * What a member holds, kept equal to the group's durable state: feeds begin where the start offset is known and end as
 * soon as the partition is to be given up, and the member is told the whole assignment after each change. Runs one round
 * at a time; a change meanwhile asks for another.
 */
import { asPartitaError, PartitaError, partitionKey } from '@partita/domain';
import { pause } from '@partita/client';
import type { LeaderReader, RouteCache } from '@partita/client';
import { assignmentOf, memberEpochOf } from '@partita/groups';
import type { HeldPartition } from '@partita/groups';
import { ConsumeEventKind, DeliveryForm } from '@partita/protocol';
import type { AssignedPartition, ConsumeResponse, OffsetSpec } from '@partita/protocol';
import { retryAdviceOf } from '@partita/rpc';
import type { Delivery, DeliverySink } from './delivery.ts';
import type { GroupMeter } from './group-meter.ts';
import type { LeaderCalls, PartitionName } from './leader-calls.ts';
import { PartitionFeed } from './partition-feed.ts';
import type { FeedListener } from './partition-feed.ts';
import type { ShardOwner } from './shard-owner.ts';
import { afterLoss, findStarts } from './start-offsets.ts';
import type { StartOffset } from './start-offsets.ts';

export interface MemberPartitionsOptions {
  readonly group: string;
  readonly memberId: string;
  readonly owner: ShardOwner;
  readonly routes: RouteCache;
  readonly calls: LeaderCalls;
  readonly reader: LeaderReader;
  readonly delivery: Delivery;
  readonly sink: DeliverySink;
  readonly startPosition: OffsetSpec;
  readonly lossPosition: OffsetSpec | undefined;
  readonly form: DeliveryForm;
  readonly meter: Pick<GroupMeter, 'feeds'>;
  readonly signal: AbortSignal;
  /** The stream cannot go on. */
  onFault(error: PartitaError): void;
}

/** Pause before a start offset that could not be found is asked for again. */
const RETRY_MS = 500;
const RETRIED_ADVICE: ReadonlySet<string> = new Set(['BACKOFF', 'AFTER_DELAY', 'REFRESH', 'REJOIN']);
const LATEST: OffsetSpec = { position: { $case: 'latest', latest: true } };
const FIND_DEADLINE_MS = 5000;

export class MemberPartitions implements FeedListener {
  readonly #options: MemberPartitionsOptions;
  /** Partitions that are delivered, by partitionKey. */
  readonly #feeds = new Map<string, PartitionFeed>();
  /** Start offset told for each holding, by partitionKey. */
  readonly #started = new Map<string, { readonly assignmentEpoch: number; readonly offset: bigint }>();
  /** Where delivery stood when it stopped, of partitions that are still held, by partitionKey. */
  readonly #stoppedAt = new Map<string, bigint>();
  #told = '';
  #dirty = false;
  #running = false;

  constructor(options: MemberPartitionsOptions) {
    this.#options = options;
  }

  feeds(): Iterable<PartitionFeed> {
    return this.#feeds.values();
  }

  /** The feed of a partition by topic name; undefined when it is not delivered (any more). */
  feed(topic: string, partition: number): PartitionFeed | undefined {
    const topicId = this.#options.routes.table.topic(topic)?.topicId;
    return topicId === undefined ? undefined : this.#feeds.get(partitionKey({ topicId, partition }));
  }

  /** The group may have changed. */
  sync(): void {
    this.#dirty = true;
    if (!this.#running) void this.#run();
  }

  close(): void {
    for (const key of [...this.#feeds.keys()]) this.#stop(key);
  }

  onNews(feed: PartitionFeed): void {
    this.guarded(() => this.#options.delivery.wake(feed));
  }

  onFault(feed: PartitionFeed, error: PartitaError): void {
    if (error.reason === 'TOPIC_NOT_FOUND') return this.sync();
    if (error.reason !== 'OFFSET_OUT_OF_RANGE') return this.#options.onFault(error);
    this.#goOnAfterLoss(feed).catch((thrown: unknown) => this.#options.onFault(asPartitaError(thrown)));
  }

  /** Runs work that decodes what brokers sent; its failure ends the member's stream, not the reading of others. */
  guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#options.onFault(asPartitaError(thrown));
    }
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#dirty && !this.#options.signal.aborted) {
        this.#dirty = false;
        await this.#round();
      }
    } catch (thrown) {
      this.#options.onFault(asPartitaError(thrown));
    } finally {
      this.#running = false;
    }
  }

  async #round(): Promise<void> {
    const held = this.#current();
    if (held === undefined) return;
    this.#stopOthers(held);
    const missing = held.filter(
      (entry) =>
        !entry.revoking && this.#started.get(partitionKey(entry.partition))?.assignmentEpoch !== entry.assignmentEpoch,
    );
    // What is to be given up is told at once; what has no start yet follows.
    if (missing.length === 0 || held.some((entry) => entry.revoking)) this.#tell(held);
    if (missing.length === 0) return;
    const wanted: { held: HeldPartition; name: PartitionName }[] = [];
    for (const entry of missing) {
      const route = this.#options.routes.table.topicById(entry.partition.topicId);
      if (route === undefined) continue;
      wanted.push({ held: entry, name: { ...entry.partition, topic: route.topic } });
    }
    const { starts, error } = await findStarts(wanted, this.#options);
    if (error !== undefined && !RETRIED_ADVICE.has(retryAdviceOf(error))) throw error;
    if (error !== undefined) void pause(RETRY_MS, this.#options.signal).then(() => this.sync());
    if (this.#options.signal.aborted) return;
    const now = this.#current();
    if (now === undefined) return;
    const begun = this.#begin(starts, now);
    this.#tell(now);
    for (const start of begun) this.#deliver(start);
  }

  /** What the member holds; undefined while the shard is not served or the member is gone: another round will come. */
  #current(): readonly HeldPartition[] | undefined {
    const { owner, group, memberId } = this.#options;
    if (owner.phase !== 'serving') return undefined;
    const state = owner.state.get(group);
    return state?.members.has(memberId) === true ? assignmentOf(state, memberId) : undefined;
  }

  #stopOthers(held: readonly HeldPartition[]): void {
    const kept = new Map(
      held.filter((entry) => !entry.revoking).map((entry) => [partitionKey(entry.partition), entry.assignmentEpoch]),
    );
    for (const [key, { assignmentEpoch }] of this.#started) {
      if (kept.get(key) === assignmentEpoch) continue;
      this.#stop(key);
      if (held.some((entry) => partitionKey(entry.partition) === key)) continue;
      this.#started.delete(key);
      this.#stoppedAt.delete(key);
    }
  }

  #stop(key: string): void {
    const feed = this.#feeds.get(key);
    if (feed === undefined) return;
    this.#feeds.delete(key);
    this.#stoppedAt.set(key, feed.position);
    this.#options.delivery.forget(feed);
    this.#options.meter.feeds.remove(this.#options.group, feed);
    feed.close();
  }

  /** Notes the starts of partitions that are still held as they were when they were asked for. */
  #begin(starts: readonly StartOffset[], held: readonly HeldPartition[]): StartOffset[] {
    const epochs = new Map(
      held.filter((entry) => !entry.revoking).map((entry) => [partitionKey(entry.partition), entry.assignmentEpoch]),
    );
    const begun = starts.filter(
      (start) => epochs.get(partitionKey(start.held.partition)) === start.held.assignmentEpoch,
    );
    for (const start of begun) {
      const { assignmentEpoch } = start.held;
      this.#started.set(partitionKey(start.held.partition), { assignmentEpoch, offset: start.offset });
    }
    return begun;
  }

  #deliver(start: StartOffset): void {
    const { name, held, offset, highWatermark } = start;
    if (start.lostOffset !== undefined) this.#tellLoss(name, start.lostOffset, offset);
    if (start.wasReset) this.#tellReset(name, this.#stoppedAt.get(partitionKey(held.partition)) ?? offset, offset);
    const { reader, form } = this.#options;
    // A member that reads from the leaders itself has its assignment and its commits here, and no feeds.
    if (form === DeliveryForm.DELIVERY_FORM_DIRECT) return;
    const feed = new PartitionFeed({
      name,
      assignmentEpoch: held.assignmentEpoch,
      position: offset,
      highWatermark,
      reader,
      listener: this,
    });
    this.#feeds.set(partitionKey(held.partition), feed);
    this.#options.meter.feeds.add(this.#options.group, feed);
    feed.start();
  }

  /** Sends the assignment unless the member knows it already. */
  #tell(held: readonly HeldPartition[]): void {
    const { owner, group, memberId, routes, sink } = this.#options;
    const state = owner.state.get(group);
    if (state?.value === undefined) return;
    const partitions: AssignedPartition[] = [];
    const revoking: AssignedPartition[] = [];
    for (const { partition: tp, assignmentEpoch, revoking: isRevoking } of held) {
      const started = this.#started.get(partitionKey(tp));
      const topic = routes.table.topicById(tp.topicId)?.topic;
      if (topic === undefined || (started?.assignmentEpoch !== assignmentEpoch && !isRevoking)) continue;
      const entry = { topic, partition: tp.partition, assignmentEpoch, startOffset: started?.offset ?? 0n };
      partitions.push(entry);
      if (isRevoking) revoking.push(entry);
    }
    const { groupEpoch } = state.value;
    const assignment = { memberEpoch: memberEpochOf(state, memberId), partitions, revoking, groupEpoch };
    const told = describe(assignment);
    if (told === this.#told) return;
    this.#told = told;
    sink.send({ $case: 'assignment', assignment }, 0);
  }

  async #goOnAfterLoss(feed: PartitionFeed): Promise<void> {
    const { calls, signal, delivery } = this.#options;
    delivery.forget(feed);
    const log = await calls.listOffset(feed.name, LATEST, { deadlineMs: FIND_DEADLINE_MS, signal });
    if (this.#feeds.get(partitionKey(feed.name)) !== feed) return;
    const oldOffset = feed.position;
    const newOffset = await afterLoss(oldOffset, log, { ...this.#options, name: feed.name });
    if (this.#feeds.get(partitionKey(feed.name)) !== feed) return;
    this.#tellLoss(feed.name, oldOffset, newOffset);
    feed.moveTo(newOffset);
  }

  #tellLoss({ topic, partition }: PartitionName, oldOffset: bigint, newOffset: bigint): void {
    const kind = ConsumeEventKind.CONSUME_EVENT_KIND_OFFSET_LOST;
    const detail = `offset ${oldOffset} is not in the log any more; delivery goes on at ${newOffset}`;
    this.#options.sink.send({ $case: 'event', event: { topic, partition, kind, oldOffset, newOffset, detail } }, 0);
  }

  #tellReset({ topic, partition }: PartitionName, oldOffset: bigint, newOffset: bigint): void {
    const kind = ConsumeEventKind.CONSUME_EVENT_KIND_RESET;
    const detail = `an operator has moved the group's offset; delivery goes on at ${newOffset}`;
    this.#options.sink.send({ $case: 'event', event: { topic, partition, kind, oldOffset, newOffset, detail } }, 0);
  }
}

type Assignment = Extract<NonNullable<ConsumeResponse['message']>, { $case: 'assignment' }>['assignment'];

function describe({ memberEpoch, groupEpoch, partitions, revoking }: Assignment): string {
  const text = (entries: readonly AssignedPartition[]): string =>
    entries
      .map(
        ({ topic, partition, assignmentEpoch, startOffset }) =>
          `${topic}/${partition}/${assignmentEpoch}/${startOffset}`,
      )
      .join();
  return `${memberEpoch} ${groupEpoch} ${text(partitions)} ${text(revoking)}`;
}
