/**
 * Builds the batches of one partition from the records of many clients. The linger adapts by itself: with nothing under
 * way records go at once, and while a batch is under way the next one grows.
 */
import { BatchBuilder, isBatchCodec } from '@partita/batch';
import { invariant, PARTITION_QUEUE_BYTES_MAX, PARTITION_QUEUE_COUNT_MAX, PartitaError } from '@partita/domain';
import type { AppendJob, AppendOutcome } from '@partita/client';
import type { Acks, CompressionCodec, TopicRoute } from '@partita/protocol';
import type { RecordInput } from '@partita/batch';

/** Records that wait for their batch. A waiting part may end up in several batches when it is large and mergeable. */
export interface WaitingPart {
  readonly records: readonly RecordInput[];
  /** First record that is in no batch yet. */
  next: number;
  readonly bytes: number;
  readonly acks: Acks;
  readonly codec: CompressionCodec;
  readonly mergeable: boolean;
  readonly expectedNextOffset: bigint | undefined;
  readonly traceparent: string;
  readonly deadlineAtMs: number;
  /** Told of each batch that holds some of the records: which, and what became of it. */
  readonly done: (fromIndex: number, toIndex: number, outcome: AppendOutcome, indexInBatch: number) => void;
}

/** Where batches go; the LeaderAppender. */
export interface BatchSink {
  append(job: AppendJob): void;
}

interface Share {
  readonly part: WaitingPart;
  readonly from: number;
  readonly to: number;
  readonly indexInBatch: number;
}

export class PartitionMerger {
  readonly #route: TopicRoute;
  readonly #partition: number;
  readonly #appender: BatchSink;
  readonly #onBatch: () => void;
  readonly #waiting: WaitingPart[] = [];
  #waitingBytes = 0;
  #underWay = false;

  constructor(route: TopicRoute, partition: number, appender: BatchSink, onBatch: () => void) {
    this.#route = route;
    this.#partition = partition;
    this.#appender = appender;
    this.#onBatch = onBatch;
  }

  get idle(): boolean {
    return !this.#underWay && this.#waiting.length === 0;
  }

  /** Why nothing more can be queued, or undefined. Asked for all partitions of a request before any is queued. */
  get full(): PartitaError | undefined {
    if (this.#waitingBytes < PARTITION_QUEUE_BYTES_MAX && this.#waiting.length < PARTITION_QUEUE_COUNT_MAX)
      return undefined;
    const metadata = { queue: 'partition', limit: String(PARTITION_QUEUE_BYTES_MAX) };
    const text = `partition ${this.#partition} of "${this.#route.topic}" takes records slower than they come`;
    return new PartitaError('QUEUE_FULL', text, metadata, { retryAfterMs: 200 });
  }

  add(part: WaitingPart): void {
    this.#waiting.push(part);
    this.#waitingBytes += part.bytes;
    this.#pump();
  }

  #pump(): void {
    while (!this.#underWay && this.#waiting.length > 0) this.#sendNext();
  }

  #sendNext(): void {
    const first = this.#waiting[0];
    invariant(first !== undefined, 'a part waits');
    const builder = new BatchBuilder();
    const shares: Share[] = [];
    for (
      let part = this.#waiting[0];
      part !== undefined && fitsWith(first, part, shares.length);
      part = this.#waiting[0]
    ) {
      const from = part.next;
      const indexInBatch = builder.count;
      for (
        let record = part.records[part.next];
        record !== undefined && builder.tryAdd(record);
        record = part.records[part.next]
      )
        part.next += 1;
      if (part.next > from) shares.push({ part, from, to: part.next, indexInBatch });
      if (part.next < part.records.length) break;
      this.#drop();
    }
    if (!first.mergeable && first.next < first.records.length) return this.#refuseWhole(first);
    this.#send(builder, first, shares);
  }

  #send(builder: BatchBuilder, first: WaitingPart, shares: readonly Share[]): void {
    const codec: number = first.codec;
    invariant(isBatchCodec(codec), 'the codec was checked');
    let deadlineAtMs = first.deadlineAtMs;
    for (const share of shares) deadlineAtMs = Math.max(deadlineAtMs, share.part.deadlineAtMs);
    this.#underWay = true;
    this.#onBatch();
    this.#appender.append({
      topicId: this.#route.topicId,
      topic: this.#route.topic,
      partition: this.#partition,
      recordBatches: builder.build({ codec }),
      acks: first.acks,
      ...(first.expectedNextOffset === undefined ? {} : { expectedNextOffset: first.expectedNextOffset }),
      traceparent: first.traceparent,
      deadlineAtMs,
      done: (outcome) => {
        this.#underWay = false;
        for (const share of shares) share.part.done(share.from, share.to, outcome, share.indexInBatch);
        this.#pump();
      },
    });
  }

  /** An atomic part that no batch can hold. */
  #refuseWhole(part: WaitingPart): void {
    this.#drop();
    const metadata = { bytes: String(part.bytes), records: String(part.records.length) };
    part.done(
      0,
      part.records.length,
      new PartitaError('BATCH_TOO_LARGE', 'the records do not fit in one batch of 2 MiB', metadata),
      0,
    );
  }

  #drop(): void {
    const part = this.#waiting.shift();
    if (part !== undefined) this.#waitingBytes -= part.bytes;
  }
}

/** Whether a part may share a batch with the first one. */
function fitsWith(first: WaitingPart, part: WaitingPart, shareCount: number): boolean {
  if (shareCount === 0) return true;
  return first.mergeable && part.mergeable && part.acks === first.acks && part.codec === first.codec;
}
