/**
 * A member of a group, as an async iterable of records. It joins with the first record asked for, comes back by itself
 * after a lost stream, and gives partitions up when the group asks: the record in progress is finished first, and the
 * answer carries the last commit. Leaving the loop, by `break` or by an error, closes the consumer; the record in
 * progress is then not committed (it comes again) unless `commit()` was called.
 */
import { context } from '@opentelemetry/api';
import type { Context, Span, Tracer } from '@opentelemetry/api';
import {
  asPartitaError,
  CONSUMER_BUFFER_BYTES,
  CONSUMER_BUFFER_RECORD_COUNT,
  DEADLINE_MS_MAX,
  DELIVERY_TIMEOUT_MS,
  PartitaError,
} from '@partita/domain';
import { isRetryable, retryAdviceOf } from '@partita/rpc';
import { ConsumeEventKind } from '@partita/protocol';
import type { ConsumeAssignment, ConsumeEvent } from '@partita/protocol';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { clientError, refused } from './client-error.ts';
import type { ClientError } from './client-error.ts';
import { Committer } from './committer.ts';
import { ConsumeLink } from './consume-link.ts';
import type { GroupMessage } from './consume-link.ts';
import { consumeInitial } from './consumer-options.ts';
import type { ConsumerOptions, MemberName } from './consumer-options.ts';
import { DeliveryBuffer } from './delivery-buffer.ts';
import type { Taken } from './delivery-buffer.ts';
import type { Endpoints } from './endpoints.ts';
import { HeldPartitions } from './held-partition.ts';
import type { HeldPartition, PartitionName } from './held-partition.ts';
import { pause } from './pause.ts';
import { JITTER } from './jitter.ts';
import type { ReceivedRecord } from './record-form.ts';
import { failSpan, processSpan } from './spans.ts';

const LEAVE_MS_MAX = 3000;
const NEW_MEMBER: MemberName = { memberId: '', memberEpoch: 0 };

interface InProgress extends Taken {
  readonly span: Span | undefined;
  readonly context: Context | undefined;
}

export class Consumer implements AsyncIterable<ReceivedRecord> {
  readonly #pool: ChannelPool;
  readonly #endpoints: Endpoints;
  readonly #tracer: Tracer | undefined;
  readonly #options: ConsumerOptions;
  readonly #buffer: DeliveryBuffer;
  readonly #held = new HeldPartitions();
  readonly #committer: Committer;
  readonly #ending = new AbortController();
  #member = NEW_MEMBER;
  #link: ConsumeLink | undefined;
  #joined = false;
  #running: Promise<void> | undefined;
  #failure: ClientError | undefined;
  #inProgress: InProgress | undefined;
  #wake: (() => void) | undefined;
  /** Address of the group's owner, learnt from an instance that is not. */
  #ownerAddress: string | undefined;
  /** False once the owner could not be reached directly. */
  #direct = true;

  constructor(pool: ChannelPool, endpoints: Endpoints, tracer: Tracer | undefined, options: ConsumerOptions) {
    this.#pool = pool;
    this.#endpoints = endpoints;
    this.#tracer = tracer;
    this.#options = options;
    this.#buffer = new DeliveryBuffer(
      options.bufferRecordCount ?? CONSUMER_BUFFER_RECORD_COUNT,
      options.bufferBytes ?? CONSUMER_BUFFER_BYTES,
    );
    this.#committer = new Committer((ackId, offsets) => {
      if (!this.#joined) return false;
      this.#link?.send({ $case: 'ack', ack: { ackId, offsets } });
      return true;
    });
  }

  /** Id that the group gave this member; empty before it joined. */
  get memberId(): string {
    return this.#member.memberId;
  }

  /** True once the consumer was closed, or failed. */
  get closed(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Partitions held now. */
  get assignment(): readonly PartitionName[] {
    return this.#held
      .all()
      .filter((held) => held.state === 'held')
      .map(({ topic, partition }) => ({ topic, partition }));
  }

  /** One loop at a time. */
  [Symbol.asyncIterator](): AsyncIterator<ReceivedRecord, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /** Hands each record to `handler`, inside the context of its `process` span, until `close` or an error. */
  async run(handler: (record: ReceivedRecord) => void | Promise<void>): Promise<void> {
    for await (const record of this) {
      const current = this.#inProgress;
      try {
        if (current?.context === undefined) await handler(record);
        else await context.with(current.context, () => handler(record));
      } catch (error) {
        if (current?.span !== undefined) failSpan(current.span, error);
        throw error;
      }
    }
  }

  /** Commits every record handed out so far, the one in progress included, and waits until that is durable. */
  async commit(): Promise<void> {
    const current = this.#inProgress;
    if (current !== undefined) current.held.finish(current.record);
    const untilMs = performance.now() + DEADLINE_MS_MAX;
    for (let attempt = 0; ; attempt += 1) {
      const error = await this.#committer.commit(this.#committable());
      if (error === undefined) return;
      const mayPass = isRetryable(error) || error.reason === 'CANCELLED';
      if (!mayPass || error.reason === 'STALE_GENERATION' || this.#ending.signal.aborted || performance.now() > untilMs)
        throw clientError(error);
      await pause(backoffDelayMs(attempt, JITTER), this.#ending.signal);
    }
  }

  /** Commits what is finished (unless autoCommit is off), leaves the group and ends the loop. */
  async close(): Promise<void> {
    if (!this.#ending.signal.aborted) {
      this.#endSpan();
      this.#inProgress = undefined;
      this.#ending.abort();
      this.#notify();
      const offsets = this.#auto ? this.#committable().flatMap((held) => held.commit ?? []) : [];
      if (this.#joined) this.#link?.send({ $case: 'leave', leave: { offsets } });
      else this.#link?.cancel();
      const link = this.#link;
      if (link !== undefined) {
        const left = new AbortController();
        void link.closed.then(() => left.abort());
        void pause(LEAVE_MS_MAX, left.signal).then(() => link.cancel());
      }
      this.#committer.stop();
    }
    await this.#running;
  }

  get #auto(): boolean {
    return this.#options.autoCommit !== false;
  }

  #committable(): HeldPartition[] {
    return this.#held.all().filter((held) => held.state === 'held' || held.state === 'revoking');
  }

  async #next(): Promise<IteratorResult<ReceivedRecord, undefined>> {
    if (this.#wake !== undefined)
      throw refused('INVALID_REQUEST', 'a consumer has one loop: wait for a record before asking for the next');
    this.#finishCurrent();
    this.#running ??= this.#run();
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ending.signal.aborted) return { done: true, value: undefined };
      const taken = this.#buffer.take();
      const credit = this.#buffer.dueCredit();
      if (credit !== undefined) this.#link?.send({ $case: 'credit', credit });
      if (taken !== undefined) return { done: false, value: this.#begin(taken) };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #begin(taken: Taken): ReceivedRecord {
    const traced =
      this.#tracer === undefined ? undefined : processSpan(this.#tracer, this.#options.group, taken.record);
    this.#inProgress = { ...taken, span: traced?.span, context: traced?.context };
    return taken.record;
  }

  /** The handler asks for the next record: it is done with this one. */
  #finishCurrent(): void {
    const current = this.#inProgress;
    if (current === undefined) return;
    this.#endSpan();
    this.#inProgress = undefined;
    if (this.#auto) {
      current.held.finish(current.record);
      if (current.held.state === 'held') this.#committer.finished(current.held);
    }
    if (current.held.state === 'revoking') this.#giveUp();
  }

  #endSpan(): void {
    this.#inProgress?.span?.end();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #ended(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Keeps a stream open until the consumer is closed or fails for good. */
  async #run(): Promise<void> {
    let failingSinceMs: number | undefined;
    for (let attempt = 0; !this.#ended(); attempt += 1) {
      const outcome = await this.#session();
      if (this.#ended()) return;
      if (outcome.joined) {
        attempt = 0;
        failingSinceMs = undefined;
      }
      failingSinceMs ??= performance.now();
      const error = outcome.error;
      if (error !== undefined && this.#isFinal(error, performance.now() - failingSinceMs)) {
        this.#fail(error);
        return;
      }
      // To the owner at once, but not in circles.
      if (error?.reason === 'NOT_GROUP_OWNER' && this.#ownerAddress !== undefined && attempt === 0) continue;
      await pause(error?.retryAfterMs ?? backoffDelayMs(attempt, JITTER), this.#ending.signal);
    }
  }

  /** One stream, from its opening to its end. */
  async #session(): Promise<{ joined: boolean; error: PartitaError | undefined }> {
    let address: string | undefined;
    try {
      address = this.#ownerAddress ?? (await this.#endpoints.addressOf('consumer-group'));
      if (this.#ending.signal.aborted) return { joined: false, error: undefined };
      const initial = consumeInitial(this.#options, this.#member, this.#buffer.fullCredit, this.#direct);
      const link = new ConsumeLink(this.#pool, address, initial, (message) => this.#onMessage(message));
      this.#link = link;
      const error = await link.closed;
      return { joined: this.#streamLost(error, address), error };
    } catch (error) {
      return { joined: this.#streamLost(asPartitaError(error), address), error: asPartitaError(error) };
    }
  }

  /** Forgets what belonged to the stream. True when the member had joined on it. */
  #streamLost(error: PartitaError | undefined, address: string | undefined): boolean {
    const joined = this.#joined;
    this.#joined = false;
    this.#link = undefined;
    this.#buffer.clear();
    this.#held.streamLost();
    this.#committer.streamLost(error ?? new PartitaError('SERVICE_UNREACHABLE', 'the stream to the group ended'));
    if (error?.reason === 'NOT_GROUP_OWNER' && this.#direct) this.#ownerAddress = error.metadata['address'];
    else if (this.#ownerAddress !== undefined) {
      this.#ownerAddress = undefined;
      // An owner that cannot be reached from here is spoken to through another instance.
      if (!joined) this.#direct = false;
    } else if (address !== undefined && error?.reason === 'SERVICE_UNREACHABLE') this.#endpoints.suspect(address);
    if (error !== undefined && retryAdviceOf(error) === 'REJOIN') {
      this.#member = NEW_MEMBER;
      void this.#tellRevoked(this.#held.loseAll());
    }
    return joined;
  }

  #isFinal(error: PartitaError, failingMs: number): boolean {
    if (failingMs > DELIVERY_TIMEOUT_MS) return true;
    // CANCELLED is our own doing here: the server was silent for too long.
    return !isRetryable(error) && error.reason !== 'CANCELLED';
  }

  #fail(error: unknown): void {
    this.#failure ??= clientError(error);
    this.#ending.abort();
    this.#committer.stop();
    this.#link?.cancel();
    this.#notify();
  }

  #onMessage(message: GroupMessage): void {
    switch (message.$case) {
      case 'joined':
        this.#member = { memberId: message.joined.memberId, memberEpoch: message.joined.memberEpoch };
        this.#joined = true;
        return;
      case 'assignment':
        return this.#onAssignment(message.assignment);
      case 'records': {
        const { topic, partition, assignmentEpoch, records } = message.records;
        this.#buffer.add(this.#held.get(topic, partition, assignmentEpoch), records);
        return this.#notify();
      }
      case 'ackResult':
        return this.#committer.onResult(message.ackResult);
      case 'event':
        return this.#onEvent(message.event);
      case 'draining':
        this.#committer.flush();
        this.#link?.cancel();
        return;
      default:
    }
  }

  #onAssignment(assignment: ConsumeAssignment): void {
    this.#member = { ...this.#member, memberEpoch: assignment.memberEpoch };
    const { added, lost } = this.#held.apply(assignment);
    for (const held of this.#held.all()) if (held.state !== 'held') this.#buffer.drop(held);
    void this.#tellRevoked(lost);
    if (added.length > 0) this.#call(() => this.#options.onAssigned?.(added.map(named)));
    if (this.#auto) this.#committer.flush();
    this.#giveUp();
    this.#notify();
  }

  /** Answers for every partition that is wanted back, but the one whose record is in progress. */
  #giveUp(): void {
    const given = this.#held.all().filter((held) => held.state === 'revoking' && held !== this.#inProgress?.held);
    if (given.length === 0) return;
    for (const held of given) held.state = 'given';
    const news = given.filter((held) => !held.told);
    for (const held of news) held.told = true;
    void this.#tellRevoked(news).then(() => {
      const still = given.filter((held) => held.state === 'given');
      const offsets = this.#auto ? still.flatMap((held) => held.commit ?? []) : [];
      if (this.#joined)
        this.#link?.send({ $case: 'revoked', revoked: { partitions: still.map((held) => held.assigned), offsets } });
    });
  }

  async #tellRevoked(partitions: readonly HeldPartition[]): Promise<void> {
    if (partitions.length === 0 || this.#options.onRevoked === undefined) return;
    try {
      await this.#options.onRevoked(partitions.map(named));
    } catch (error) {
      this.#fail(error);
    }
  }

  #onEvent(event: ConsumeEvent): void {
    const held = this.#held.find(event.topic, event.partition);
    if (held !== undefined && event.kind !== ConsumeEventKind.CONSUME_EVENT_KIND_OFFSET_LOST) {
      // The position moved back or forth: what was handed out before says nothing about what comes.
      this.#buffer.drop(held);
      held.nextWanted = event.newOffset;
      held.finished = undefined;
    }
    this.#call(() => this.#options.onEvent?.(event));
  }

  /** Runs a callback of the caller's; what it throws ends the loop. */
  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#fail(error);
    }
  }
}

function named({ topic, partition }: HeldPartition): PartitionName {
  return { topic, partition };
}
