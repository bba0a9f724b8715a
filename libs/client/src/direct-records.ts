/**
 * Records straight from the leaders: the group says which partitions, this reads them. The window of each broker's stream
 * is given back as records are taken, so what waits here is bounded. A position that is no longer in the log moves by the
 * member's policy and with an event, never by itself.
 */
import type { Tracer } from '@opentelemetry/api';
import { headerSeed } from '@partita/batch';
import { asPartitaError, CONSUMER_BUFFER_BYTES, PartitaError } from '@partita/domain';
import { ConsumeEventKind, DeliveryForm, TimestampType } from '@partita/protocol';
import type { ConsumeEvent, FetchedPartition, TopicRoute } from '@partita/protocol';
import { isRetryable } from '@partita/rpc';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import type { ListedOffset } from './admin.ts';
import type { ConsumerOptions } from './consumer-options.ts';
import { BatchesChunk } from './delivered-chunk.ts';
import type { DeliveryBuffer } from './delivery-buffer.ts';
import type { HeldPartition } from './held-partition.ts';
import { JITTER } from './jitter.ts';
import { LeaderReader } from './leader-reader.ts';
import type { Reading } from './leader-reader.ts';
import { positionAfterLoss } from './offset-loss.ts';
import { pause } from './pause.ts';
import type { Position } from './position.ts';
import type { ReceivedRecord } from './record-form.ts';
import type { RecordSource } from './record-source.ts';
import type { RouteCache } from './route-cache.ts';
import { receiveSpan } from './spans.ts';

/** Asks the leader of a partition. */
export type ListOffset = (
  topic: string,
  partition: number,
  position: Position,
  options: { readonly signal: AbortSignal; readonly deadlineMs: number },
) => Promise<ListedOffset>;

export interface DirectRecordsContext {
  readonly options: ConsumerOptions;
  readonly pool: ChannelPool;
  readonly routes: RouteCache;
  readonly buffer: DeliveryBuffer;
  readonly listOffset: ListOffset;
  /** Undefined when the process does not trace. */
  readonly tracer: Tracer | undefined;
  /** There is something in the buffer. */
  onNews(): void;
  onEvent(event: ConsumeEvent): void;
  onError(error: unknown): void;
}

/** The smallest window of one broker's stream; a batch goes through one of any size. */
const WINDOW_BYTES_MIN = 64 * 1024;
const ASK_DEADLINE_MS = 5000;

/** One attempt to read a partition, from finding where to begin until it is stopped. */
interface Run {
  readonly stop: AbortController;
  reading: Reading | undefined;
}

/** Anew each time: it changes while somebody waits. */
function isStopped({ stop }: Run): boolean {
  return stop.signal.aborted;
}

export class DirectRecords implements RecordSource {
  readonly form = DeliveryForm.DELIVERY_FORM_DIRECT;
  readonly openingCredit = { records: 0n, bytes: 0n };
  readonly #context: DirectRecordsContext;
  readonly #runs = new Map<HeldPartition, Run>();
  #reader: LeaderReader | undefined;

  constructor(context: DirectRecordsContext) {
    this.#context = context;
  }

  onMessage(): void {
    // The group delivers nothing to a member that reads by itself.
  }

  begin(held: HeldPartition): void {
    if (!held.paused) void this.#read(held);
  }

  move(held: HeldPartition): void {
    this.end(held);
    if (held.begun && !held.paused) void this.#read(held);
  }

  moved(held: HeldPartition): void {
    this.move(held);
  }

  setPaused(held: HeldPartition): void {
    this.move(held);
  }

  end(held: HeldPartition): void {
    const run = this.#runs.get(held);
    this.#runs.delete(held);
    run?.stop.abort();
    run?.reading?.close();
    this.#context.buffer.drop(held);
  }

  taken(): void {
    // The chunks give the window back when they are used up.
  }

  streamLost(): void {
    for (const held of [...this.#runs.keys()]) this.end(held);
  }

  close(): void {
    this.streamLost();
    this.#reader?.close();
    this.#reader = undefined;
  }

  /** Finds the topic and the offset, and begins. Goes on until it could, or the partition is not wanted any more. */
  async #read(held: HeldPartition): Promise<void> {
    this.end(held);
    const run: Run = { stop: new AbortController(), reading: undefined };
    this.#runs.set(held, run);
    const { signal } = run.stop;
    for (let attempt = 0; !isStopped(run); attempt += 1) {
      try {
        const route = await this.#context.routes.resolve(held.topic);
        const offset = await this.#offsetOf(held, signal);
        if (isStopped(run)) return;
        run.reading = this.#open(held, route, offset, run);
        return;
      } catch (thrown) {
        const error = asPartitaError(thrown);
        if (isStopped(run)) return;
        // A topic that is gone is taken away by the group.
        if (!isRetryable(error) && error.reason !== 'TOPIC_NOT_FOUND') {
          this.#context.onError(error);
          return;
        }
        await pause(backoffDelayMs(attempt, JITTER), signal);
      }
    }
  }

  async #offsetOf(held: HeldPartition, signal: AbortSignal): Promise<bigint> {
    const { place } = held;
    if (typeof place === 'bigint') return place;
    const { topic, partition } = held;
    const found = await this.#context.listOffset(topic, partition, place, { signal, deadlineMs: ASK_DEADLINE_MS });
    held.sawHighWatermark(found.highWatermark);
    if (!signal.aborted) held.nextWanted = found.offset;
    return found.offset;
  }

  #open(held: HeldPartition, route: TopicRoute, offset: bigint, run: Run): Reading {
    const { topicId, topic } = route;
    const { partition } = held;
    const seed = headerSeed(topicId, partition);
    let lastEpoch = held.lastEpoch;
    const onBatches = (data: FetchedPartition, release: () => void): void => {
      held.sawHighWatermark(data.highWatermark);
      const chunk = new BatchesChunk({
        name: held,
        bytes: data.recordBatches,
        fromOffset: offset,
        seed,
        isAppendTime: this.#isAppendTime(topicId),
        owe: release,
        traceparentOf: this.#receiving(),
      });
      // Behind a hole that compaction left, the epoch of the record before is not known.
      lastEpoch = chunk.endOffset === data.nextOffset ? chunk.lastEpoch : 0;
      this.#context.buffer.add(held, chunk);
      this.#context.onNews();
    };
    this.#reader ??= this.#newReader();
    return this.#reader.read({
      topicId,
      topic,
      partition,
      offset,
      lastRecordEpoch: () => lastEpoch,
      onBatches: (data, release) => {
        try {
          onBatches(data, release);
        } catch (error) {
          this.#context.onError(error);
        }
      },
      onWatermark: (mark) => held.sawHighWatermark(mark.highWatermark),
      onError: (error) => void this.#onFault(held, run, error),
    });
  }

  #newReader(): LeaderReader {
    const { options, routes, pool } = this.#context;
    const brokerCount = Math.max(1, routes.table.brokers.length);
    const windowBytes = Math.floor((options.bufferBytes ?? CONSUMER_BUFFER_BYTES) / brokerCount);
    return new LeaderReader(routes, pool, { windowBytes: Math.max(WINDOW_BYTES_MIN, windowBytes), isReleased: true });
  }

  /** Makes the spans of what has arrived now. */
  #receiving(): ((record: ReceivedRecord) => string) | undefined {
    const { tracer, options } = this.#context;
    if (tracer === undefined) return undefined;
    const arrivedMs = performance.now();
    return (record) => receiveSpan(tracer, options.group, record, arrivedMs);
  }

  #isAppendTime(topicId: string): boolean {
    return this.#context.routes.table.topicById(topicId)?.timestampType === TimestampType.TIMESTAMP_TYPE_APPEND;
  }

  /** The reading has ended by an error. */
  async #onFault(held: HeldPartition, run: Run, error: PartitaError): Promise<void> {
    try {
      if (this.#runs.get(held) !== run) return;
      if (error.reason === 'TOPIC_NOT_FOUND') return;
      if (error.reason === 'LOG_TRUNCATED') {
        this.#onTruncated(held, BigInt(error.metadata['divergence'] ?? '0'));
        return;
      }
      if (error.reason !== 'OFFSET_OUT_OF_RANGE') throw error;
      if (typeof held.sought === 'bigint' && held.nextWanted === held.sought) throw error;
      await this.#onLost(held, run);
    } catch (thrown) {
      if (this.#runs.get(held) === run) this.#context.onError(thrown);
    }
  }

  /** What was read and not handed out yet may be gone: it is read again from where the logs part. */
  #onTruncated(held: HeldPartition, divergence: bigint): void {
    const before = held.nextWanted ?? held.startOffset;
    const now = divergence < before ? divergence : before;
    this.#tell(held, ConsumeEventKind.CONSUME_EVENT_KIND_TRUNCATED, before, now, {
      detail: `records from offset ${divergence} on were lost by an unclean election; delivery goes on at ${now}`,
    });
  }

  async #onLost(held: HeldPartition, run: Run): Promise<void> {
    const { listOffset, options } = this.#context;
    const { signal } = run.stop;
    const before = held.nextWanted ?? held.startOffset;
    for (let attempt = 0; !isStopped(run); attempt += 1) {
      try {
        const asked = { signal, deadlineMs: ASK_DEADLINE_MS };
        const log = await listOffset(held.topic, held.partition, 'latest', asked);
        if (isStopped(run)) return;
        const now = positionAfterLoss(held, before, log, options);
        // What was read ahead was beyond the log's end, the position is not: nothing that was handed out is gone.
        if (now === before) {
          this.move(held);
          return;
        }
        this.#tell(held, ConsumeEventKind.CONSUME_EVENT_KIND_OFFSET_LOST, before, now, {
          detail: `offset ${before} is not in the log any more; delivery goes on at ${now}`,
        });
        return;
      } catch (thrown) {
        const error = asPartitaError(thrown);
        if (error.reason === 'OFFSET_LOST' || !isRetryable(error)) throw error;
        await pause(backoffDelayMs(attempt, JITTER), signal);
      }
    }
  }

  /** The event comes before the first record from the new position. */
  #tell(
    held: HeldPartition,
    kind: ConsumeEventKind,
    oldOffset: bigint,
    newOffset: bigint,
    { detail }: { readonly detail: string },
  ): void {
    const { topic, partition } = held;
    held.moveTo(newOffset);
    held.sought = undefined;
    held.isAfterLoss = true;
    this.#context.onEvent({ topic, partition, kind, oldOffset, newOffset, detail });
    this.move(held);
  }
}
