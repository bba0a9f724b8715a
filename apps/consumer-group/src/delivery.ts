/**
 * From the feeds of a member to its stream, as its credits allow: in order within a partition, in turn between
 * partitions, a batch at a time, and never a record or a byte beyond what was granted. At most one batch per stream is
 * decoded.
 */
import { CREDIT_BYTES_MAX, CREDIT_RECORD_COUNT_MAX, PartitaError, QUOTA_DELAY_MS_MAX } from '@partita/domain';
import type { QuotaBrake } from '@partita/domain';
import { DeliveryForm } from '@partita/protocol';
import type { ConsumeCredit, ConsumedRecord, ConsumedTrace, ConsumePosition, ConsumeResponse } from '@partita/protocol';
import { consumedBytes, consumedRecord, responseBytes } from './consumed-record.ts';
import type { DeliveredCount } from './group-meter.ts';
import type { FeedBatch, PartitionFeed } from './partition-feed.ts';
import { beginBatchReceive, beginReceive, endAll } from './receive-span.ts';
import type { ReceiveSpan } from './receive-span.ts';

/** Where a delivery's messages go. */
export interface DeliverySink {
  /** False = full until `onDrain`. */
  send(message: NonNullable<ConsumeResponse['message']>, bytes: number): boolean;
  readonly writable: boolean;
}

export interface DeliveryOptions {
  readonly group: string;
  readonly form: DeliveryForm;
  readonly sink: DeliverySink;
  readonly delivered: DeliveredCount;
  /** True = the process traces. */
  readonly tracing: boolean;
  readonly brake: QuotaBrake;
  /** Of the member; empty when it does not name itself. */
  readonly clientId: string;
  /** A quota held what there was, and does not any more: `pump` is worth a call. */
  readonly onHoldOver: () => void;
  isAppendTime(topicId: string): boolean;
}

/** One message to a member: a record more only while it stays below both. */
const FRAME_BYTES_MAX = 512 * 1024;
const FRAME_RECORD_COUNT_MAX = 10_000;

/** What came of one turn of a feed. */
type Turn = 'sent' | 'nothing' | 'short of credit';

export class Delivery {
  readonly #options: DeliveryOptions;
  /** Feeds with something to deliver, whose turn it is first. */
  readonly #ready = new Set<PartitionFeed>();
  #creditRecords = 0;
  #creditBytes = 0;
  #pumping = false;
  /** Set while a quota holds all that is ready. */
  #hold: ReturnType<typeof setTimeout> | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Adds to the credit. Throws INVALID_REQUEST for a negative one. */
  grant(credit: ConsumeCredit): void {
    this.#creditRecords = added(this.#creditRecords, credit.records, CREDIT_RECORD_COUNT_MAX, 'credit.records');
    this.#creditBytes = added(this.#creditBytes, credit.bytes, CREDIT_BYTES_MAX, 'credit.bytes');
    this.pump();
  }

  /** The feed has news, or is wanted again. */
  wake(feed: PartitionFeed): void {
    if (feed.isReady) this.#ready.add(feed);
    this.pump();
    this.#tellCaughtUp(feed);
    if (feed.toldCaughtUp && this.#ready.has(feed)) {
      feed.toldCaughtUp = false;
      this.#options.sink.send({ $case: 'fellBehind', fellBehind: positionOf(feed) }, 0);
    }
  }

  /** The feed is closed or not wanted at the moment. */
  forget(feed: PartitionFeed): void {
    this.#ready.delete(feed);
    feed.park();
  }

  close(): void {
    clearTimeout(this.#hold);
  }

  /** Sends as long as there is something, credit, room, and no quota against it. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#options.sink.writable && this.#creditRecords > 0 && this.#creditBytes > 0) {
        const feed = this.#options.brake.isOn ? this.#unheld() : this.#ready.values().next().value;
        if (feed === undefined) return;
        const turn =
          this.#options.form === DeliveryForm.DELIVERY_FORM_BATCHES ? this.#sendBatch(feed) : this.#sendRecords(feed);
        if (turn === 'short of credit') return;
        // To the end of the queue, unless its batch is not finished: a second decoded one would cost memory.
        if (!feed.isInsideBatch) {
          this.#ready.delete(feed);
          if (feed.isReady) this.#ready.add(feed);
        }
        this.#tellCaughtUp(feed);
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** The first that no quota holds. When all are held they are looked at again as soon as one is free. */
  #unheld(): PartitionFeed | undefined {
    const { brake, clientId, onHoldOver } = this.#options;
    let leastMs = Infinity;
    let first: PartitionFeed | undefined;
    for (const feed of this.#ready) {
      const waitMs = brake.waitMs(clientId, feed.name.topic);
      if (waitMs === 0) return feed;
      // Another may come before it, and only one batch is decoded.
      feed.park();
      if (waitMs < leastMs) first = feed;
      leastMs = Math.min(leastMs, waitMs);
    }
    if (first === undefined || this.#hold !== undefined) return undefined;
    // Quotas may change meanwhile.
    const holdMs = Math.min(leastMs, QUOTA_DELAY_MS_MAX);
    brake.noteHold(clientId, first.name.topic, holdMs);
    this.#hold = setTimeout(() => {
      this.#hold = undefined;
      onHoldOver();
    }, holdMs);
    return undefined;
  }

  #spend(topic: string, recordCount: number, bytes: number): void {
    const { delivered, brake, clientId } = this.#options;
    delivered.add(topic, recordCount, bytes);
    if (brake.isOn) brake.spend(clientId, topic, bytes);
  }

  #sendRecords(feed: PartitionFeed): Turn {
    const records: ConsumedRecord[] = [];
    const spans: ReceiveSpan[] = [];
    const isAppendTime = this.#options.isAppendTime(feed.name.topicId);
    let frameBytes = 0;
    let short = false;
    for (let next = feed.peekRecord(); next !== undefined; next = feed.peekRecord()) {
      const { record, header } = next;
      const bytes = consumedBytes(record);
      short = this.#creditRecords < 1 || this.#creditBytes < bytes;
      if (short) break;
      if (records.length >= FRAME_RECORD_COUNT_MAX) break;
      if (records.length > 0 && frameBytes + responseBytes(record) > FRAME_BYTES_MAX) break;
      this.#creditRecords -= 1;
      this.#creditBytes -= bytes;
      frameBytes += responseBytes(record);
      const consumed = consumedRecord(record, header, isAppendTime);
      const span = this.#options.tracing ? this.#traced(consumed, feed) : undefined;
      if (span !== undefined) spans.push(span);
      records.push(consumed);
      feed.takeRecord(record);
      if (!feed.isInsideBatch) break;
    }
    if (records.length === 0) return short ? 'short of credit' : 'nothing';
    const { topic, partition } = feed.name;
    const { assignmentEpoch, highWatermark, seekId } = feed;
    const message = { topic, partition, assignmentEpoch, records, highWatermark, seekId };
    try {
      this.#options.sink.send({ $case: 'records', records: message }, frameBytes);
    } finally {
      endAll(spans);
    }
    this.#spend(topic, records.length, frameBytes);
    return 'sent';
  }

  /** The spans of a record, with which it goes on. */
  #traced({ offset, record, appendTimeMs }: ConsumedRecord, feed: PartitionFeed): ReceiveSpan | undefined {
    if (record === undefined || record.traceparent === '') return undefined;
    const source = { group: this.#options.group, ...feed.name };
    const span = beginReceive({ offset, traceparent: record.traceparent, appendTimeMs }, source, feed.arrival);
    if (span !== undefined && span.traceparent !== '') record.traceparent = span.traceparent;
    return span;
  }

  #sendBatch(feed: PartitionFeed): Turn {
    const batch = feed.peekBatch();
    if (batch === undefined) return 'nothing';
    const { header, bytes } = batch;
    // Whole, as soon as any credit is left: one that is larger than the member's whole window would wait for ever.
    this.#creditRecords -= header.recordCount;
    this.#creditBytes -= bytes.byteLength;
    const appendTime = this.#options.isAppendTime(feed.name.topicId);
    const { group, tracing, sink } = this.#options;
    const source = { group, ...feed.name };
    const spans = tracing ? beginBatchReceive(bytes, header.appendTimeMs, source, feed.arrival) : undefined;
    const traces = spans?.traces ?? [];
    try {
      sink.send({ $case: 'batches', batches: batchesMessage(feed, batch, appendTime, traces) }, bytes.byteLength);
    } finally {
      spans?.end();
    }
    feed.takeBatch(batch);
    this.#spend(feed.name.topic, header.recordCount, bytes.byteLength);
    return 'sent';
  }

  #tellCaughtUp(feed: PartitionFeed): void {
    if (!feed.isCaughtUp || feed.toldCaughtUp || feed.held) return;
    feed.toldCaughtUp = true;
    this.#options.sink.send({ $case: 'caughtUp', caughtUp: positionOf(feed) }, 0);
  }
}

/** Where a feed stands. */
export function positionOf(feed: PartitionFeed): ConsumePosition {
  const { topic, partition } = feed.name;
  return { topic, partition, nextOffset: feed.position, highWatermark: feed.highWatermark };
}

function batchesMessage(
  feed: PartitionFeed,
  { header, bytes }: FeedBatch,
  appendTime: boolean,
  traces: ConsumedTrace[],
): Extract<ConsumeResponse['message'], { $case: 'batches' }>['batches'] {
  const { topicId, topic, partition } = feed.name;
  return {
    topicId,
    topic,
    partition,
    assignmentEpoch: feed.assignmentEpoch,
    recordBatches: bytes,
    fromOffset: feed.position > header.baseOffset ? feed.position : header.baseOffset,
    nextOffset: header.baseOffset + BigInt(header.lastOffsetDelta) + 1n,
    highWatermark: feed.highWatermark,
    seekId: feed.seekId,
    appendTime,
    traces,
  };
}

function added(left: number, more: bigint, max: number, field: string): number {
  if (more < 0n) {
    const metadata = { field, value: String(more), range: `0..${max}` };
    throw new PartitaError(
      'INVALID_REQUEST',
      `${field} is ${more}; a credit adds to what is left and is at least 0`,
      metadata,
    );
  }
  return Math.min(max, left + Number(more));
}
