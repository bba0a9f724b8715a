/**
 * Sends records as batches of producer sessions: finds the topic's route, chooses partitions, and hands the records to the
 * batcher of each. Where the batches go, to a gateway or to the leaders, is the sink's.
 */
import { keyHash } from '@partita/batch';
import { asPartitaError, invariant, isInternalTopic, PartitaError, topicNameFault } from '@partita/domain';
import { Acks } from '@partita/protocol';
import type { Record as WireRecord, TopicRoute } from '@partita/protocol';
import type { RouteCache } from '../route-cache.ts';
import type { AppendOutcome, BatchSink } from './append-job.ts';
import { callPartitions } from './call-partitions.ts';
import { PartitionBatcher } from './partition-batcher.ts';
import type { WaitingPart } from './partition-batcher.ts';
import { PartitionChooser } from './partition-chooser.ts';
import { ProducerIds } from './producer-ids.ts';
import { batchBytesOf, CODECS, isOneBatch, requestIdBytes } from './producer-options.ts';
import type { ProducerOptions } from './producer-options.ts';
import type { OutgoingCall, RecordSender } from './record-sender.ts';
import { checkCodec, recordFault, recordLimits } from './topic-rules.ts';
import { TopicQueue } from './topic-queue.ts';

const IDLE_BATCHER_COUNT_MAX = 10_000;

type ClosableSink = BatchSink & { close(): void };

/** A part of a call in the batcher of its partition. */
interface PlacedPart {
  readonly part: WaitingPart;
  /** Of its records in the call. */
  readonly indexes: readonly number[];
}

interface PlacedCall extends OutgoingCall {
  /** Filled when the route is known. */
  readonly placed: PlacedPart[];
}

/** The records of a call for one partition. */
interface CallPart {
  readonly partition: number;
  readonly records: WireRecord[];
  readonly keyHashes: (number | undefined)[];
  readonly indexes: number[];
  bytes: number;
}

export class SessionSender implements RecordSender {
  readonly #routes: RouteCache;
  readonly #sink: ClosableSink;
  readonly #options: ProducerOptions;
  readonly #batchBytesMax: number;
  readonly #ids = new ProducerIds();
  readonly #chooser = new PartitionChooser(Math.random);
  readonly #batchers = new Map<string, PartitionBatcher>();
  readonly #unplaced: TopicQueue<PlacedCall>;
  #isFlushing = false;

  constructor(routes: RouteCache, sink: ClosableSink, options: ProducerOptions) {
    this.#routes = routes;
    this.#sink = sink;
    this.#options = options;
    this.#batchBytesMax = batchBytesOf(options);
    this.#unplaced = new TopicQueue(routes, (outgoing, route) => this.#tryPlace(outgoing, route));
  }

  send(outgoing: OutgoingCall): () => void {
    const { topic, call } = outgoing;
    const placed: PlacedCall = { ...outgoing, placed: [] };
    const fault = topicFault(topic);
    if (fault !== undefined) call.fail(fault);
    else {
      const route = this.#unplaced.has(topic) ? undefined : this.#routes.lookup(topic);
      if (route === undefined) this.#unplaced.add(placed);
      else this.#tryPlace(placed, route);
    }
    return () => giveUp(placed);
  }

  flush(isFlushing: boolean): void {
    this.#isFlushing = isFlushing;
    for (const batcher of this.#batchers.values()) batcher.flush(isFlushing);
  }

  expire(nowMs: number): void {
    this.#unplaced.expire(nowMs);
    for (const batcher of this.#batchers.values()) batcher.expire(nowMs);
  }

  close(): void {
    this.#unplaced.close();
    this.#sink.close();
  }

  #tryPlace(outgoing: PlacedCall, route: TopicRoute): void {
    try {
      this.#place(outgoing, route);
    } catch (error) {
      outgoing.call.fail(asPartitaError(error));
    }
  }

  /** In one synchronous step, so that calls keep their order. */
  #place(outgoing: PlacedCall, route: TopicRoute): void {
    const { records, options, call } = outgoing;
    checkCodec(CODECS[this.#options.codec ?? 'none'], route);
    const isWhole = isOneBatch(outgoing.options);
    const requestId = options.requestId === undefined ? undefined : requestIdBytes(options.requestId);
    const toPlace = { named: options.partition, requestId, isWhole, records };
    const partitionOf = callPartitions(route, this.#chooser, toPlace);
    const nowMs = Date.now();
    const now = BigInt(nowMs);
    const limits = recordLimits(route, nowMs);
    const parts = new Map<number, CallPart>();
    for (const [index, record] of records.entries()) {
      if (record.timestampMs === 0n) record.timestampMs = now;
      const fault = recordFault(record, limits);
      if (fault !== undefined) {
        if (isWhole) throw fault;
        call.settle(index, fault);
        continue;
      }
      const hash = record.key === undefined ? undefined : keyHash(record.key);
      const partition = partitionOf(hash);
      let part = parts.get(partition);
      if (part === undefined) {
        part = { partition, records: [], keyHashes: [], indexes: [], bytes: 0 };
        parts.set(partition, part);
      }
      part.records.push(record);
      part.keyHashes.push(hash);
      part.indexes.push(index);
      part.bytes += outgoing.sizes[index] ?? 0;
    }
    for (const part of parts.values()) this.#add(outgoing, route, part, requestId);
  }

  #add(outgoing: PlacedCall, route: TopicRoute, callPart: CallPart, requestId: Uint8Array | undefined): void {
    const { call, options, traceparent, queuedAtMs, deadlineAtMs } = outgoing;
    const { partition, records, keyHashes, indexes, bytes } = callPart;
    const part: WaitingPart = {
      records,
      keyHashes,
      next: 0,
      bytes,
      acks: this.#options.acks === 'leader' ? Acks.ACKS_LEADER : Acks.ACKS_ALL,
      codec: CODECS[this.#options.codec ?? 'none'],
      mergeable: !isOneBatch(outgoing.options),
      expectedNextOffset: options.expectedNextOffset,
      requestId,
      partitionChosen: options.partition !== undefined || requestId !== undefined,
      traceparent,
      ...(traceparent === '' ? {} : traced(call, callPart)),
      queuedAtMs,
      deadlineAtMs,
      isOver: false,
      done: (from: number, to: number, outcome: AppendOutcome, indexInBatch: number) => {
        for (let at = from; at < to; at += 1) {
          const index = indexes[at];
          invariant(index !== undefined, 'a record of the call');
          if (outcome instanceof PartitaError) call.settle(index, outcome);
          else call.settle(index, { ack: outcome, offset: outcome.baseOffset + BigInt(indexInBatch + at - from) });
        }
      },
    };
    outgoing.placed.push({ part, indexes });
    this.#batcher(route, partition).add(part);
  }

  #batcher(route: TopicRoute, partition: number): PartitionBatcher {
    const { topicId, topic } = route;
    const key = `${topicId}/${partition}`;
    let batcher = this.#batchers.get(key);
    if (batcher === undefined) {
      if (this.#batchers.size >= IDLE_BATCHER_COUNT_MAX) this.#dropIdle();
      batcher = new PartitionBatcher({
        topicId,
        topic,
        partition,
        sink: this.#sink,
        ids: this.#ids,
        batchBytesMax: this.#batchBytesMax,
        lingerMs: this.#options.lingerMs ?? 0,
        deadline: 'first',
        onBatch: () => this.#chooser.batchSent(topicId, partition),
      });
      batcher.flush(this.#isFlushing);
      this.#batchers.set(key, batcher);
    }
    return batcher;
  }

  #dropIdle(): void {
    for (const [key, batcher] of this.#batchers) if (batcher.idle) this.#batchers.delete(key);
  }
}

function topicFault(topic: string): PartitaError | undefined {
  const fault = topicNameFault(topic);
  if (fault !== undefined) return new PartitaError('INVALID_TOPIC_NAME', `"${topic}": ${fault}`, { topic });
  if (!isInternalTopic(topic)) return undefined;
  return new PartitaError('INTERNAL_TOPIC', `"${topic}" is Partita's own; clients cannot write it`, { topic });
}

function giveUp({ call, placed }: PlacedCall): void {
  for (const { part, indexes } of placed) {
    part.isOver = true;
    for (const index of indexes.slice(0, part.next)) {
      const text = 'cancelled while the record was on its way; it may be stored';
      call.settle(index, new PartitaError('OUTCOME_UNKNOWN', text));
    }
  }
  call.fail(new PartitaError('CANCELLED', 'cancelled before the record was sent'));
}

/** What the records of a traced call tell of their batches. */
function traced(call: OutgoingCall['call'], { partition, records }: CallPart) {
  const startMs = performance.now();
  return {
    onShared: (other: string) => call.shares(other),
    onLeaving: (toIndex: number) => {
      if (toIndex === records.length) call.waited(startMs, partition);
    },
  };
}
