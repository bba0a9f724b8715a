/**
 * Sends records through a gateway. A record goes at once when nothing of its topic is under way, else it shares the next
 * frame with what came meanwhile. Definite refusals that may pass are sent again, in order, within the delivery time-out.
 * Doubt (OUTCOME_UNKNOWN) is handed to the caller: without a producer session a second copy could be stored.
 */
import { checkRecord } from '@partita/batch';
import {
  asPartitaError,
  BATCH_BYTES_MAX,
  CLIENT_BUFFER_BYTES_MAX,
  DELIVERY_TIMEOUT_MS,
  PARTITION_COUNT_MAX,
} from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import type { Span, Tracer } from '@opentelemetry/api';
import { Acks, CompressionCodec } from '@partita/protocol';
import type { Record as WireRecord } from '@partita/protocol';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { clientError, refused } from './client-error.ts';
import type { Endpoints } from './endpoints.ts';
import { ProduceLane } from './produce-lane.ts';
import type { LaneFrame, PendingRecord } from './produce-lane.ts';
import { ProduceLink } from './produce-link.ts';
import type { FrameOutcome } from './produce-link.ts';
import { JITTER } from './jitter.ts';
import { wireRecord } from './record-form.ts';
import type { OutgoingRecord } from './record-form.ts';
import { SendCall } from './send-call.ts';
import type { SentRecord } from './send-call.ts';
import { SendRoom } from './send-room.ts';
import { sendSpan } from './spans.ts';
import { traceparentOf } from './trace-context.ts';

export interface ProducerOptions {
  /** What must be durable before a record counts as sent: every in-sync replica (default), or the leader. */
  readonly acks?: 'all' | 'leader' | undefined;
  /** How the gateway compresses. Default none. */
  readonly codec?: 'none' | 'zstd' | 'lz4' | 'gzip' | undefined;
  /** Waits this long for more records before a frame goes, when nothing is under way. Default 0. */
  readonly lingerMs?: number | undefined;
  /** From `send` to its result, retries included. Default 120 s. */
  readonly deliveryTimeoutMs?: number | undefined;
  /** Bytes held, waiting or on their way; `send` waits beyond. Default 64 MiB. */
  readonly bufferBytesMax?: number | undefined;
}

export interface SendOptions {
  /** Partition for all records of the call. Default: by key. */
  readonly partition?: number | undefined;
  /** Gives up: CANCELLED when nothing was sent, else OUTCOME_UNKNOWN. */
  readonly signal?: AbortSignal | undefined;
}

const CODECS = {
  none: CompressionCodec.COMPRESSION_CODEC_NONE,
  zstd: CompressionCodec.COMPRESSION_CODEC_ZSTD,
  lz4: CompressionCodec.COMPRESSION_CODEC_LZ4,
  gzip: CompressionCodec.COMPRESSION_CODEC_GZIP,
} as const;
const RECORD_LIMITS = { recordBytesMax: BATCH_BYTES_MAX, timestampMsMax: Infinity };
const SWEEP_MS = 250;
const IDLE_LANE_COUNT_MAX = 1000;

export class Producer {
  readonly #pool: ChannelPool;
  readonly #endpoints: Endpoints;
  readonly #tracer: Tracer | undefined;
  readonly #options: ProducerOptions;
  readonly #room: SendRoom;
  readonly #lanes = new Map<string, ProduceLane>();
  /** Lanes with something to send. */
  readonly #waitingLanes = new Set<ProduceLane>();
  readonly #open = new Set<SendCall>();
  #link: ProduceLink | undefined;
  #linkOpening = false;
  #linkAttempt = 0;
  #linkNotBeforeMs = 0;
  #linkError: PartitaError | undefined;
  #pumpQueued = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAtMs = Infinity;
  /** Calls of `flush` under way: the linger does not hold. */
  #flushing = 0;
  #closed = false;

  constructor(pool: ChannelPool, endpoints: Endpoints, tracer: Tracer | undefined, options: ProducerOptions) {
    this.#pool = pool;
    this.#endpoints = endpoints;
    this.#tracer = tracer;
    this.#options = options;
    this.#room = new SendRoom(options.bufferBytesMax ?? CLIENT_BUFFER_BYTES_MAX);
  }

  /**
   * Sends one record, or several in order. Resolves when all are durable as `acks` says. Rejects with ClientError, for
   * several records with SendError, which tells of each. Calls are queued in their order.
   */
  send(topic: string, record: OutgoingRecord, options?: SendOptions): Promise<SentRecord>;
  send(topic: string, records: readonly OutgoingRecord[], options?: SendOptions): Promise<readonly SentRecord[]>;
  send(
    topic: string,
    what: OutgoingRecord | readonly OutgoingRecord[],
    options: SendOptions = {},
  ): Promise<SentRecord | readonly SentRecord[]> {
    const many = isMany(what);
    return new Promise((resolve, reject) => {
      const records = many ? what : [what];
      if (records.length === 0) return resolve([]);
      const answer = (results: readonly SentRecord[]): void => {
        const only = results[0];
        if (many) resolve(results);
        else if (only !== undefined) resolve(only);
      };
      try {
        this.#begin(topic, records, options, answer, reject);
      } catch (error) {
        reject(clientError(error));
      }
    });
  }

  /** Resolves when every send so far has its result, good or bad. Does not wait for the linger. */
  async flush(): Promise<void> {
    this.#flushing += 1;
    this.#pumpSoon();
    await Promise.all([...this.#open].map((call) => call.over));
    this.#flushing -= 1;
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Refuses further sends, waits for those under way, and closes the stream. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    clearTimeout(this.#timer);
    this.#link?.close();
    this.#link = undefined;
  }

  #begin(
    topic: string,
    records: readonly OutgoingRecord[],
    { partition, signal }: SendOptions,
    resolve: (results: readonly SentRecord[]) => void,
    reject: (error: Error) => void,
  ): void {
    if (this.#closed) throw refused('CANCELLED', 'the producer is closed');
    if (signal?.aborted === true) throw refused('CANCELLED', 'cancelled before the record was sent');
    if (
      partition !== undefined &&
      !(Number.isInteger(partition) && partition >= 0 && partition < PARTITION_COUNT_MAX)
    ) {
      throw refused('PARTITION_NOT_FOUND', `${partition} is no partition: they are numbered from 0`, {
        topic,
        partition: String(partition),
      });
    }
    const span = this.#tracer === undefined ? undefined : sendSpan(this.#tracer, topic, records.length);
    const traceparent = traceparentOf(span);
    const wire = records.map((record) => wireRecord(record, traceparent));
    const sizes = checkAll(wire, span);
    const nowMs = performance.now();
    const deadlineAtMs = nowMs + (this.#options.deliveryTimeoutMs ?? DELIVERY_TIMEOUT_MS);
    const onAbort = (): void => {
      waiting.cancelled = !call.entered;
      call.giveUp(pending);
    };
    const call = new SendCall({
      topic,
      recordCount: records.length,
      bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
      span,
      resolve,
      reject,
      onOver: () => {
        this.#open.delete(call);
        if (call.entered) this.#room.leave(call.bytes);
        signal?.removeEventListener('abort', onAbort);
      },
    });
    const pending = wire.map((record, index) =>
      makePending(call, record, index, { bytes: sizes[index] ?? 0, nowMs, deadlineAtMs }),
    );
    const waiting = {
      bytes: call.bytes,
      deadlineAtMs,
      cancelled: false,
      fail: (error: PartitaError) => call.fail(error),
      enter: () => {
        call.entered = true;
        this.#queue(topic, partition, pending);
      },
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#open.add(call);
    if (this.#room.tryEnter(call.bytes)) waiting.enter();
    else this.#room.wait(waiting);
    this.#wakeAt(nowMs + SWEEP_MS);
  }

  #queue(topic: string, partition: number | undefined, pending: readonly PendingRecord[]): void {
    const key = partition === undefined ? topic : `${topic}/${partition}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      if (this.#lanes.size >= IDLE_LANE_COUNT_MAX) this.#dropIdleLanes();
      lane = new ProduceLane(topic, partition);
      this.#lanes.set(key, lane);
    }
    for (const record of pending) lane.push(record);
    if (!lane.underWay) this.#waitingLanes.add(lane);
    this.#pumpSoon();
  }

  #dropIdleLanes(): void {
    for (const [key, lane] of this.#lanes) if (lane.empty && !lane.underWay) this.#lanes.delete(key);
  }

  /** After the caller's synchronous code, so that a loop of sends shares a frame. */
  #pumpSoon(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    const nowMs = performance.now();
    for (const lane of this.#waitingLanes) {
      lane.expire(nowMs, this.#linkError);
      if (lane.empty) this.#waitingLanes.delete(lane);
    }
    this.#room.expire(nowMs);
    if (this.#open.size > 0) this.#wakeAt(nowMs + SWEEP_MS);
    if (this.#waitingLanes.size === 0) return;
    const link = this.#link;
    if (link === undefined) return this.#openLink(nowMs);
    const lingerMs = this.#flushing > 0 ? 0 : (this.#options.lingerMs ?? 0);
    for (const lane of [...this.#waitingLanes]) {
      const dueAtMs = lane.dueAtMs(lingerMs);
      if (dueAtMs > nowMs) this.#wakeAt(dueAtMs);
      else if (link.hasRoom(lane.nextBytes)) this.#sendFrame(link, lane, nowMs);
    }
  }

  #sendFrame(link: ProduceLink, lane: ProduceLane, nowMs: number): void {
    this.#waitingLanes.delete(lane);
    const frame = lane.take(nowMs);
    if (frame === undefined) return;
    let traceparent = '';
    const records: WireRecord[] = [];
    for (const pending of frame.records) {
      pending.sent = true;
      records.push(pending.record);
      if (traceparent === '') traceparent = pending.record.traceparent;
    }
    const request = {
      topic: lane.topic,
      partition: lane.partition,
      records,
      acks: this.#options.acks === 'leader' ? Acks.ACKS_LEADER : Acks.ACKS_ALL,
      requestId: '',
      expectedNextOffset: undefined,
      atomic: false,
      codec: CODECS[this.#options.codec ?? 'none'],
    };
    link.send(request, frame.bytes, frame.timeoutMs, traceparent, (outcome) => this.#onOutcome(lane, frame, outcome));
  }

  #onOutcome(lane: ProduceLane, frame: LaneFrame, outcome: FrameOutcome): void {
    const error = lane.finish(frame, outcome);
    if (error === undefined) lane.attempt = 0;
    else if (error.metadata['index'] === undefined) {
      lane.notBeforeMs = performance.now() + (error.retryAfterMs ?? backoffDelayMs(lane.attempt, JITTER));
      lane.attempt += 1;
    }
    if (!lane.empty) this.#waitingLanes.add(lane);
    this.#pumpSoon();
  }

  #openLink(nowMs: number): void {
    if (this.#linkOpening) return;
    if (this.#linkNotBeforeMs > nowMs) return this.#wakeAt(this.#linkNotBeforeMs);
    this.#linkOpening = true;
    this.#endpoints
      .addressOf('gateway')
      .then((address) => this.#connect(address))
      .catch((error: unknown) => this.#linkFailed(asPartitaError(error)))
      .finally(() => {
        this.#linkOpening = false;
        this.#pumpSoon();
      });
  }

  #connect(address: string): void {
    const link: ProduceLink = new ProduceLink(this.#pool, address, {
      onRoom: () => {
        this.#linkAttempt = 0;
        this.#linkError = undefined;
        this.#pumpSoon();
      },
      onRetired: (error) => {
        if (this.#link === link) this.#link = undefined;
        this.#endpoints.suspect(address);
        if (error !== undefined) this.#linkFailed(error);
        this.#pumpSoon();
      },
    });
    this.#link = link;
  }

  #linkFailed(error: PartitaError): void {
    this.#linkError = error;
    this.#linkNotBeforeMs = performance.now() + backoffDelayMs(this.#linkAttempt, JITTER);
    this.#linkAttempt += 1;
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(
      () => {
        this.#timerAtMs = Infinity;
        this.#pump();
      },
      Math.max(0, atMs - performance.now()),
    );
  }
}

function isMany(what: OutgoingRecord | readonly OutgoingRecord[]): what is readonly OutgoingRecord[] {
  return Array.isArray(what);
}

/** Sizes of the records; the call's span ends here when one is refused. */
function checkAll(records: readonly WireRecord[], span: Span | undefined): number[] {
  try {
    return records.map((record) => checkRecord(record, RECORD_LIMITS));
  } catch (error) {
    span?.end();
    throw error;
  }
}

function makePending(
  call: SendCall,
  record: WireRecord,
  index: number,
  timing: { bytes: number; nowMs: number; deadlineAtMs: number },
): PendingRecord {
  const pending: PendingRecord = {
    record,
    bytes: timing.bytes,
    queuedAtMs: timing.nowMs,
    deadlineAtMs: timing.deadlineAtMs,
    sent: false,
    settled: false,
    settle: (outcome) => {
      pending.settled = true;
      call.settle(index, outcome);
    },
  };
  return pending;
}
