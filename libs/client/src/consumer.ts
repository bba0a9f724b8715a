/**
 * A member of a group, as an async iterable of records. It joins with the first record asked for, comes back by itself
 * after a lost stream, and gives partitions up when the group asks: the record in progress is finished first, and the
 * answer carries the last commit. Leaving the loop, by `break` or by an error, closes the consumer; the record in
 * progress is then not committed (it comes again) unless `commit()` was called.
 */
import type { SpanContext } from '@opentelemetry/api';
import { PartitaError } from '@partita/domain';
import { ConsumeEventKind, GroupServiceService } from '@partita/protocol';
import type { CommittedOffset, ConsumeAssignment, ConsumeEvent } from '@partita/protocol';
import { clientError, refused } from './client-error.ts';
import type { ClientError } from './client-error.ts';
import { chooseSource } from './choose-source.ts';
import { CommitSpans } from './commit-spans.ts';
import { commitUntil, COMMIT_MS_MAX_AT_CLOSE } from './commit-until.ts';
import { Committer } from './committer.ts';
import type { GroupMessage, MemberMessage } from './consume-link.ts';
import { consumeInitial, consumeSubscription } from './consumer-options.ts';
import type { ConsumerOptions, Subscription } from './consumer-options.ts';
import type { ConsumerParts } from './consumer-parts.ts';
import { DeliveryBuffer } from './delivery-buffer.ts';
import { HandOut } from './hand-out.ts';
import type { HandedOut } from './hand-out.ts';
import { handle, handleBatch } from './handlers.ts';
import type { BatchHandler, Handling, RecordHandler, RunBatchesOptions, RunOptions } from './handlers.ts';
import type { HeldPartition, PartitionName } from './held-partition.ts';
import { HeldPartitions } from './held-partitions.ts';
import { LoopSpan } from './loop-span.ts';
import { Membership } from './membership.ts';
import { PartitionControl } from './partition-control.ts';
import type { CommitPosition, PartitionLag } from './partition-control.ts';
import { pause } from './pause.ts';
import type { Position } from './position.ts';
import type { ReceivedRecord } from './record-form.ts';
import type { RecordSource } from './record-source.ts';
import { Revocations } from './revocations.ts';

export class Consumer implements AsyncIterable<ReceivedRecord> {
  readonly #parts: ConsumerParts;
  readonly #options: ConsumerOptions;
  readonly #buffer = new DeliveryBuffer();
  readonly #held = new HeldPartitions();
  readonly #handOut: HandOut;
  readonly #source: RecordSource;
  readonly #control: PartitionControl;
  readonly #handling: Handling;
  readonly #commitSpans: CommitSpans;
  readonly #loopSpan: LoopSpan;
  readonly #committer: Committer;
  readonly #revocations: Revocations;
  readonly #membership: Membership;
  #subscription: Subscription;
  /** The one loop's record or batch; undefined while several handlers work side by side. */
  #current: HandedOut | undefined;
  #isAsking = false;
  #isRunning = false;
  #isOver = false;
  #closing: Promise<void> | undefined;
  #failure: ClientError | undefined;

  constructor(parts: ConsumerParts, options: ConsumerOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#subscription = options;
    this.#handOut = new HandOut(this.#buffer, () => this.#source.taken());
    const send = (message: MemberMessage, traceparent?: string): boolean => this.#membership.send(message, traceparent);
    this.#source = chooseSource(parts, {
      options,
      held: this.#held,
      buffer: this.#buffer,
      send,
      onNews: () => this.#handOut.wake(),
      onEvent: (event) => this.#guarded(() => options.onEvent?.(event)),
      onError: (error) => this.#fail(error),
    });
    this.#control = new PartitionControl(this.#held, this.#source);
    this.#handling = { tracer: parts.tracer, group: options.group };
    const spans = (this.#commitSpans = new CommitSpans(this.#handling));
    this.#loopSpan = new LoopSpan(this.#handling, spans);
    this.#committer = new Committer((ack, traceparent) => send({ $case: 'ack', ack }, traceparent), spans);
    this.#revocations = new Revocations({
      held: this.#held,
      onRevoked: options.onRevoked,
      isAuto: this.#isAuto,
      spans,
      send,
      onError: (error) => this.#fail(error),
    });
    this.#membership = new Membership({
      ...parts,
      initial: (member, noRelay) => {
        const { form, openingCredit: credit } = this.#source;
        return consumeInitial(options, member, this.#subscription, { form, credit, noRelay });
      },
      onMessage: (message) => this.#guarded(() => this.#onMessage(message)),
      onStreamLost: (error, isOut) => this.#onStreamLost(error, isOut),
      onFailed: (error) => this.#fail(error),
    });
    const { signal } = options;
    if (signal?.aborted === true) void this.close();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Id that the group gave this member; empty before it joined. */
  get memberId(): string {
    return this.#membership.memberId;
  }

  /** True once the consumer was closed, or failed. */
  get closed(): boolean {
    return this.#isOver;
  }

  /** Partitions held now. */
  get assignment(): readonly PartitionName[] {
    return this.#held
      .all()
      .filter((held) => held.state === 'held')
      .map(named);
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

  /**
   * Hands each record to `handler`, inside the context of its `process` span, until `close` or an error. With
   * `concurrency` above 1 so many handlers work side by side, each partition's records one after the other; a record is
   * committed once its handler and those of all before it in its partition are done. A handler that throws ends the run:
   * the others finish, its record is not committed, and the run rejects with what it threw.
   */
  async run(handler: RecordHandler, { concurrency = 1 }: RunOptions = {}): Promise<void> {
    await this.#work(concurrency, 1, (handed) => handle(handed, handler, this.#handling));
  }

  /** The same with up to `maxRecords` (default 500) records of one partition at once, in one span. */
  async runBatches(handler: BatchHandler, options: RunBatchesOptions = {}): Promise<void> {
    const { concurrency = 1, maxRecords = 500 } = options;
    await this.#work(concurrency, maxRecords, (handed) => handleBatch(handed, handler, this.#handling));
  }

  /**
   * Commits every record handed out so far and waits until that is durable: the one in progress included, unless several
   * handlers work side by side. Or commits the positions given, of partitions held, as they are.
   */
  async commit(positions?: readonly CommitPosition[]): Promise<void> {
    if (positions !== undefined) {
      const offsets = positions.map((position) => this.#control.commitAt(position));
      return commitUntil(
        () => this.#committer.commitAt(offsets),
        () => this.#isOver,
      );
    }
    const current = this.#current;
    const last = current?.records.at(-1);
    if (current !== undefined && last !== undefined && current.moves === current.held.moves) current.held.finish(last);
    this.#loopSpan.finished();
    await commitUntil(
      () => this.#committer.commit(this.#committable()),
      () => this.#isOver,
    );
  }

  /** What the group has committed, of the topics given or of all that it has. */
  async committed(topics: readonly string[] = []): Promise<readonly CommittedOffset[]> {
    const request = { group: this.#options.group, topics: [...topics] };
    return (await this.#parts.calls.call('consumer-group', GroupServiceService.getCommittedOffsets, request)).offsets;
  }

  /** Offset of the next record to hand out; undefined after a seek whose place is not known yet. */
  position(partition: PartitionName): bigint | undefined {
    return this.#control.position(partition);
  }

  /** Where the consumer stands in the partitions it holds. */
  lag(): PartitionLag[] {
    return this.#control.lag();
  }

  /** The next record of the partition is that at `position`. Outlives reconnecting; is no commit. */
  seek(partition: PartitionName, position: Position): void {
    this.#control.seek(partition, position);
  }

  /** No records of these partitions until `resume`; the membership and the partitions stay. */
  pause(partitions: readonly PartitionName[]): void {
    this.#control.setPaused(partitions, true);
  }

  resume(partitions: readonly PartitionName[]): void {
    this.#control.setPaused(partitions, false);
  }

  /** Consumes something else from now on; the group shares its partitions out anew. */
  subscribe(subscription: Subscription): void {
    this.#subscription = subscription;
    this.#membership.send({ $case: 'subscription', subscription: consumeSubscription(subscription) });
  }

  /**
   * Commits what is finished (unless autoCommit is off), leaves the group and ends the loop. A static member does not
   * leave: its partitions wait for it until the session time-out.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  readonly #onAbort = (): void => void this.close();

  async #close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (this.#failure === undefined) {
      this.#isOver = true;
      this.#loopSpan.end();
      this.#current = undefined;
      this.#handOut.end();
      const finished = this.#isAuto ? this.#committable() : [];
      if (this.#options.instanceId === undefined) {
        this.#committer.stop();
        const offsets = finished.flatMap((held) => held.commit ?? []);
        await this.#membership.leave(offsets, this.#commitSpans);
      } else {
        const committed = new AbortController();
        const commit = this.#committer.commit(finished).then(() => committed.abort());
        await Promise.race([commit, pause(COMMIT_MS_MAX_AT_CLOSE, committed.signal)]);
        this.#committer.stop();
        await this.#membership.stay();
      }
      this.#source.close();
    }
    await this.#membership.ended;
  }

  get #isAuto(): boolean {
    return this.#options.autoCommit !== false;
  }

  #committable(): HeldPartition[] {
    return this.#held.all().filter((held) => held.state === 'held' || held.state === 'revoking');
  }

  async #next(): Promise<IteratorResult<ReceivedRecord, undefined>> {
    if (this.#isAsking || this.#isRunning)
      throw refused('INVALID_REQUEST', 'a consumer has one loop: wait for a record before asking for the next');
    this.#isAsking = true;
    try {
      if (!this.#isOver) this.#loopSpan.finished();
      this.#loopSpan.end();
      const current = this.#current;
      this.#current = undefined;
      if (current !== undefined) this.#finish(current);
      const handed = await this.#take(1);
      const record = handed?.records[0];
      if (handed === undefined || record === undefined) {
        await this.#closing;
        return { done: true, value: undefined };
      }
      this.#current = handed;
      this.#loopSpan.begin(record);
      return { done: false, value: record };
    } finally {
      this.#isAsking = false;
    }
  }

  async #work(
    workerCount: number,
    recordCount: number,
    work: (handed: HandedOut) => Promise<SpanContext | undefined>,
  ): Promise<void> {
    if (this.#isAsking || this.#isRunning)
      throw refused('INVALID_REQUEST', 'a consumer has one loop: it is being run already');
    this.#isRunning = true;
    let failure: { readonly error: unknown } | undefined;
    const worker = async (): Promise<void> => {
      try {
        for (let handed = await this.#take(recordCount); handed !== undefined; handed = await this.#take(recordCount)) {
          if (workerCount === 1) this.#current = handed;
          this.#commitSpans.finished(await work(handed));
          this.#current = undefined;
          this.#finish(handed);
        }
      } catch (error) {
        failure ??= { error };
        this.#handOut.end();
      }
    };
    await Promise.all(Array.from({ length: workerCount }, worker));
    // Who waits for the run finds the consumer out of its group.
    await this.close();
    if (failure !== undefined) throw failure.error;
  }

  /** Joins if need be. Undefined when the consumer is closed; throws when it has failed. */
  async #take(recordCount: number): Promise<HandedOut | undefined> {
    if (!this.#isOver) this.#membership.start();
    try {
      const handed = await this.#handOut.take(recordCount);
      if (handed !== undefined) return handed;
    } catch (error) {
      this.#fail(error);
    }
    if (this.#failure !== undefined) throw this.#failure;
    return undefined;
  }

  /** The handler is done with what it was given. */
  #finish(handed: HandedOut): void {
    if (this.#isOver) return;
    const { held, records } = handed;
    const stands = this.#handOut.finish(handed);
    if (stands && this.#isAuto && held.state === 'held') this.#committer.finished(held, records.length);
    if (held.state === 'revoking') this.#revocations.giveUp();
    this.#handOut.wake();
  }

  #fail(error: unknown): void {
    this.#failure ??= clientError(error);
    this.#isOver = true;
    this.#loopSpan.end();
    this.#committer.stop();
    this.#membership.abandon();
    this.#source.close();
    this.#handOut.end();
  }

  /** Runs a callback of the caller's, or takes in what was received; what that throws ends the loop. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #onMessage(message: GroupMessage): void {
    switch (message.$case) {
      case 'joined':
        return;
      case 'assignment':
        return this.#onAssignment(message.assignment);
      case 'ackResult':
        return this.#committer.onResult(message.ackResult);
      case 'event':
        return this.#onEvent(message.event);
      case 'draining':
        this.#committer.flush();
        return this.#membership.reopen();
      default:
        this.#source.onMessage(message);
        this.#handOut.wake();
    }
  }

  #onStreamLost(error: PartitaError, isOut: boolean): void {
    this.#source.streamLost();
    this.#held.streamLost();
    this.#committer.streamLost(error);
    if (isOut) void this.#revocations.tell(this.#held.loseAll());
  }

  #onAssignment(assignment: ConsumeAssignment): void {
    // What a member is given while it leaves goes on to another.
    if (this.#isOver) return;
    const { added, toBegin, lost, gone } = this.#held.apply(assignment);
    for (const held of [...gone, ...this.#held.all()]) if (held.state !== 'held') this.#source.end(held);
    void this.#revocations.tell(lost);
    if (added.length > 0) this.#options.onAssigned?.(added.map(named));
    for (const held of toBegin) {
      held.begun = true;
      this.#source.begin(held);
    }
    if (this.#isAuto) this.#committer.flush();
    this.#revocations.giveUp();
    this.#handOut.wake();
  }

  #onEvent(event: ConsumeEvent): void {
    const held = this.#held.find(event.topic, event.partition);
    if (held !== undefined && event.kind !== ConsumeEventKind.CONSUME_EVENT_KIND_OFFSET_LOST) {
      held.moveTo(event.newOffset);
      held.sought = undefined;
      held.committed = event.newOffset;
      this.#source.moved(held);
    }
    this.#options.onEvent?.(event);
  }
}

function named({ topic, partition }: PartitionName): PartitionName {
  return { topic, partition };
}
