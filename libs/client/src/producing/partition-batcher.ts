/**
 * Builds the batches of one partition from the records of many callers, and sends them under one producer session. The
 * linger adapts by itself: with nothing under way records go at once, and while batches are under way the next one grows;
 * only full ones join them.
 */
import { BatchBuilder, isBatchCodec } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import {
  BATCH_BYTES_MAX,
  invariant,
  PARTITION_QUEUE_BYTES_MAX,
  PARTITION_QUEUE_COUNT_MAX,
  PartitaError,
  REQUEST_PRODUCER_EPOCH,
} from '@partita/domain';
import type { Acks, CompressionCodec } from '@partita/protocol';
import { Fifo } from '../fifo.ts';
import type { AppendOutcome, BatchSink } from './append-job.ts';
import { BatchTrace } from './batch-trace.ts';
import type { ProducerIds } from './producer-ids.ts';
import { ProducerSession } from './producer-session.ts';

/** Told with what could not be sent in time: others were in front of it, and some of them are gone then. */
const LATE_RETRY_MS = 200;

/** Records that wait for their batch. A waiting part may end up in several batches when it is large and mergeable. */
export interface WaitingPart {
  readonly records: readonly RecordInput[];
  /** Of the records' keys, by whoever chose the partition; undefined for a record without one. */
  readonly keyHashes: readonly (number | undefined)[];
  /** First record that is in no batch yet. */
  next: number;
  readonly bytes: number;
  readonly acks: Acks;
  readonly codec: CompressionCodec;
  readonly mergeable: boolean;
  readonly expectedNextOffset: bigint | undefined;
  /** 16 bytes: the part is a session of its own, and known again by this id. */
  readonly requestId: Uint8Array | undefined;
  readonly partitionChosen: boolean;
  /** Of a sampled span that the batch belongs to, or empty. */
  readonly traceparent: string;
  /** With a traceparent: a batch with some of its records is on its way; called for each. */
  readonly onLeaving?: (toIndex: number) => void;
  /** With a traceparent: some of its records share a batch that belongs to the trace of this other span. */
  readonly onShared?: (traceparent: string) => void;
  /** Monotonic milliseconds. */
  readonly queuedAtMs: number;
  readonly deadlineAtMs: number;
  /** True once nobody waits for its result: what is in no batch yet is left out, and told as CANCELLED. */
  isOver: boolean;
  /** Told of each batch that holds some of the records: which, and what became of it; and of records that are in none. */
  readonly done: (fromIndex: number, toIndex: number, outcome: AppendOutcome, indexInBatch: number) => void;
}

export interface BatcherOptions {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  readonly sink: BatchSink;
  readonly ids: ProducerIds;
  /** True = goes on without a session where the leader takes no more of them. Default false. */
  readonly isSessionOptional?: boolean;
  /** A batch with this much is sent though others are under way. */
  readonly batchBytesMax?: number;
  /** Waits this long for more records when nothing is under way. */
  readonly lingerMs?: number;
  /** False = a batch holds the records of one part only, and waits for none that is under way. Default true. */
  readonly isMerging?: boolean;
  /** Whose deadline a batch has: its first record's, or that of the caller who waits longest. */
  readonly deadline: 'first' | 'last';
  /** Told of each batch that leaves: its records, and its bytes as sent. */
  readonly onBatch?: (recordCount: number, bytes: number) => void;
}

interface Share {
  readonly part: WaitingPart;
  readonly from: number;
  readonly to: number;
  readonly indexInBatch: number;
}

export class PartitionBatcher {
  readonly #options: BatcherOptions;
  readonly #session: ProducerSession;
  readonly #waiting = new Fifo<WaitingPart>();
  #waitingBytes = 0;
  /** No part that waits has an earlier deadline. */
  #expiryMs = Infinity;
  #requestCount = 0;
  #isPumpQueued = false;
  #lingering: ReturnType<typeof setTimeout> | undefined;
  #isFlushing = false;
  readonly #isMerging: boolean;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#isMerging = options.isMerging ?? true;
    const { sink, ids, isSessionOptional: isOptional = false } = options;
    this.#session = new ProducerSession({ sink, ids, isOptional, onRoom: () => this.#pumpSoon() });
  }

  /** Nothing waits or is under way: it may be dropped. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#session.underWayCount === 0 && this.#requestCount === 0;
  }

  /** Something waits for a batch. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Why nothing more can be queued, or undefined. */
  get full(): PartitaError | undefined {
    if (this.#waitingBytes < PARTITION_QUEUE_BYTES_MAX && this.#waiting.length < PARTITION_QUEUE_COUNT_MAX)
      return undefined;
    const { topic, partition } = this.#options;
    const metadata = { queue: 'partition', limit: String(PARTITION_QUEUE_BYTES_MAX) };
    const text = `partition ${partition} of "${topic}" takes records slower than they come`;
    return new PartitaError('QUEUE_FULL', text, metadata, { retryAfterMs: 200 });
  }

  /** Queues records behind the earlier ones. */
  add(part: WaitingPart): void {
    this.#waiting.push(part);
    this.#waitingBytes += part.bytes;
    this.#expiryMs = Math.min(this.#expiryMs, part.deadlineAtMs);
    this.#pumpSoon();
  }

  /** While true nothing lingers. */
  flush(isFlushing: boolean): void {
    this.#isFlushing = isFlushing;
    if (isFlushing) this.#pumpSoon();
  }

  /** Fails what has waited past its deadline. `why` = what is known to keep it from going. */
  expire(nowMs: number, why?: PartitaError): void {
    if (nowMs < this.#expiryMs) return;
    this.#expiryMs = Infinity;
    const gone = this.#waiting.removeWhere((part) => {
      if (isGone(part, nowMs)) return true;
      this.#expiryMs = Math.min(this.#expiryMs, part.deadlineAtMs);
      return false;
    });
    for (const part of gone) {
      this.#waitingBytes -= part.bytes;
      this.#fail(part, why);
    }
  }

  /** Tells a part that is in the queue no longer what became of what is in no batch. */
  #fail(part: WaitingPart, why?: PartitaError): void {
    const error = part.isOver ? cancelled() : tooLate(this.#options.topic, why);
    part.done(part.next, part.records.length, error, 0);
  }

  /** After the caller's synchronous code, so that a loop of sends shares a batch. */
  #pumpSoon(): void {
    if (this.#isPumpQueued) return;
    this.#isPumpQueued = true;
    queueMicrotask(() => {
      this.#isPumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    for (let part = this.#waiting.first; part !== undefined; part = this.#waiting.first) {
      if (isGone(part, performance.now())) {
        this.#drop();
        this.#fail(part);
      } else if (!this.#session.hasRoom || !this.#isDue(part)) return;
      else this.#sendNext(part);
    }
  }

  #isDue(first: WaitingPart): boolean {
    const { batchBytesMax = BATCH_BYTES_MAX, lingerMs = 0 } = this.#options;
    if (!this.#isMerging || this.#waitingBytes >= batchBytesMax) return true;
    if (this.#session.underWayCount > 0) return false;
    const waitMs = this.#isFlushing ? 0 : first.queuedAtMs + lingerMs - performance.now();
    if (lingerMs === 0 || waitMs <= 0) return true;
    this.#lingering ??= setTimeout(() => {
      this.#lingering = undefined;
      this.#pump();
    }, waitMs);
    return false;
  }

  #sendNext(first: WaitingPart): void {
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
    const { batchBytesMax = BATCH_BYTES_MAX } = this.#options;
    const builder = new BatchBuilder({ batchBytesMax: first.mergeable ? batchBytesMax : BATCH_BYTES_MAX });
    const shares: Share[] = [];
    const nowMs = performance.now();
    for (let part = this.#waiting.first; part !== undefined; part = this.#waiting.first) {
      if (shares.length > 0 && !(this.#isMerging && fitsWith(first, part))) break;
      if (part !== first && isGone(part, nowMs)) {
        this.#drop();
        this.#fail(part);
        continue;
      }
      const from = part.next;
      const indexInBatch = builder.count;
      addRecords(builder, part);
      if (part.next > from) shares.push({ part, from, to: part.next, indexInBatch });
      if (part.next < part.records.length) break;
      this.#drop();
    }
    if (!first.mergeable && first.next < first.records.length) return this.#refuseWhole(first);
    this.#send(builder, first, shares);
  }

  #send(builder: BatchBuilder, first: WaitingPart, shares: readonly Share[]): void {
    const { topicId, topic, partition, sink, deadline, onBatch } = this.#options;
    const codec: number = first.codec;
    invariant(isBatchCodec(codec), 'the codec was checked');
    let deadlineAtMs = first.deadlineAtMs;
    if (deadline === 'last') for (const { part } of shares) deadlineAtMs = Math.max(deadlineAtMs, part.deadlineAtMs);
    const recordCount = builder.count;
    const trace = traceOf(shares);
    const job = {
      topicId,
      topic,
      partition,
      partitionChosen: first.partitionChosen,
      acks: first.acks,
      ...(first.expectedNextOffset === undefined ? {} : { expectedNextOffset: first.expectedNextOffset }),
      trace,
      deadlineAtMs,
      done: (outcome: AppendOutcome) => {
        for (const share of shares) share.part.done(share.from, share.to, outcome, share.indexInBatch);
      },
    };
    if (first.requestId === undefined) {
      const recordBatches = builder.build({ codec, ...this.#session.stamp });
      onBatch?.(recordCount, recordBatches.byteLength);
      return this.#session.send({ job: { ...job, recordBatches }, recordCount });
    }
    this.#requestCount += 1;
    const once = { producerId: first.requestId, producerEpoch: REQUEST_PRODUCER_EPOCH, firstSequence: 0n };
    const recordBatches = builder.build({ codec, ...once });
    onBatch?.(recordCount, recordBatches.byteLength);
    sink.append({
      ...job,
      recordBatches,
      session: Buffer.from(first.requestId).toString('hex'),
      done: (outcome) => {
        this.#requestCount -= 1;
        job.done(outcome);
      },
    });
  }

  /** An atomic part that no batch can hold. */
  #refuseWhole(part: WaitingPart): void {
    this.#drop();
    const metadata = { bytes: String(part.bytes), limit: String(BATCH_BYTES_MAX) };
    const text = 'the records do not fit in one batch of 2 MiB';
    part.done(0, part.records.length, new PartitaError('BATCH_TOO_LARGE', text, metadata), 0);
  }

  #drop(): void {
    const part = this.#waiting.shift();
    if (part !== undefined) this.#waitingBytes -= part.bytes;
  }
}

function addRecords(builder: BatchBuilder, part: WaitingPart): void {
  for (let record = part.records[part.next]; record !== undefined; record = part.records[part.next]) {
    if (!builder.tryAdd(record, part.keyHashes[part.next])) return;
    part.next += 1;
  }
}

/** The batch's trace, that of the first part which has one; the others are linked. */
function traceOf(shares: readonly Share[]): BatchTrace | undefined {
  // Looked for before anything is made, a function too: most batches have none.
  let first: Share | undefined;
  for (const share of shares) if (share.part.traceparent !== '') first ??= share;
  if (first === undefined) return undefined;
  const traced = shares.filter(({ part }) => part.traceparent !== '');
  const { traceparent } = first.part;
  for (const { part } of traced) if (part.traceparent !== traceparent) part.onShared?.(traceparent);
  return new BatchTrace({
    traceparent,
    linked: traced.slice(1).map(({ part }) => part.traceparent),
    onLeaving: () => {
      for (const { part, to } of traced) part.onLeaving?.(to);
    },
  });
}

/** It is too late for what is in no batch yet, or nobody waits for it. */
function isGone({ isOver, deadlineAtMs }: WaitingPart, nowMs: number): boolean {
  return isOver || deadlineAtMs <= nowMs;
}

function cancelled(): PartitaError {
  return new PartitaError('CANCELLED', 'cancelled before the record was sent');
}

/** Whether a part may share a batch with the first one. */
function fitsWith(first: WaitingPart, part: WaitingPart): boolean {
  return (
    first.mergeable &&
    part.mergeable &&
    part.acks === first.acks &&
    part.codec === first.codec &&
    part.partitionChosen === first.partitionChosen
  );
}

function tooLate(topic: string, why: PartitaError | undefined): PartitaError {
  const metadata = { topic, ...(why === undefined ? {} : { last_reason: why.reason }) };
  const text = `the record for "${topic}" could not be delivered within its time${why === undefined ? '' : `: ${why.message}`}`;
  return new PartitaError('TIMED_OUT', text, metadata, { retryAfterMs: LATE_RETRY_MS });
}
