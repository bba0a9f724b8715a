/**
 * FetchStream: pushes committed batches of many partitions as the reader's credit allows. Partitions with data wait in a
 * ring and are served one slice each in turn. Credit is counted in bytes of batches; a batch is sent whole as soon as any
 * credit is left, so credit may fall below zero, and nothing more is sent until it is above zero again.
 */
import {
  asPartitaError,
  CREDIT_BYTES_MAX,
  HEARTBEAT_MS,
  PartitaError,
  partitionKey,
  QUOTA_DELAY_MS_MAX,
  REQUEST_PARTITION_COUNT_MAX,
  STREAM_SILENCE_MS_MAX,
} from '@partita/domain';
import type { Clock, QuotaBrake, TimerHandle, Timers } from '@partita/domain';
import type {
  FetchCredit,
  FetchedPartition,
  FetchStart,
  FetchStop,
  FetchStreamRequest,
  FetchStreamResponse,
  PartitionWatermark,
} from '@partita/protocol';
import type { BidiHandlers, CallContext, ServerBidiStream } from '@partita/rpc/server';
import type { BrokerMetrics } from '../metrics/broker-metrics.ts';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import { failedPartition, Reading } from './reading.ts';
import { checkPartitionCount, outOfRange } from './request-checks.ts';
import { outOfOrder, silent } from './stream-rules.ts';

/** Most bytes of one message, so that partitions take turns; a larger single batch goes alone. */
const SLICE_BYTES = 1024 * 1024;

export interface FetchStreamOptions {
  readonly registry: PartitionRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: Pick<BrokerMetrics, 'fetched'>;
  readonly brake: QuotaBrake;
  /** Told to clients when the broker drains, milliseconds. */
  readonly graceMs: number;
}

/** A partition that the client reads. Replaced, never moved: an old one's data is dropped. */
interface Subscription {
  readonly startId: bigint;
  readonly reading: Reading;
  stopWatching: () => void;
  /** Undefined until the client was told once. */
  isCaughtUp: boolean | undefined;
  /** Set while a quota holds it. */
  hold: TimerHandle | undefined;
}

export class FetchStreamSession implements BidiHandlers<FetchStreamRequest> {
  readonly #stream: ServerBidiStream<FetchStreamResponse>;
  readonly #options: FetchStreamOptions;
  readonly #clientId: string;
  readonly #subscriptions = new Map<string, Subscription>();
  /** Those that may have something to say, in turn. */
  readonly #ring = new Set<Subscription>();
  #credit = 0;
  #isReady = false;
  #isPumping = false;
  #isClosed = false;
  #heardAtMs: number;
  #timer: TimerHandle | undefined;

  constructor(stream: ServerBidiStream<FetchStreamResponse>, context: CallContext, options: FetchStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#clientId = context.clientId;
    this.#heardAtMs = options.clock.monotonicMs();
    stream.onDrain(() => this.#pump());
    const announce = () => {
      stream.send({ message: { $case: 'draining', draining: { graceMs: options.graceMs } } });
      stream.end();
    };
    stream.onClose(() => {
      this.#isClosed = true;
      this.#timer?.cancel();
      context.draining.removeEventListener('abort', announce);
      for (const key of [...this.#subscriptions.keys()]) this.#drop(key);
    });
    if (context.draining.aborted) announce();
    else context.draining.addEventListener('abort', announce, { once: true });
    this.#beat();
  }

  onMessage(request: FetchStreamRequest): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    const { message } = request;
    if (!this.#isReady) {
      if (message?.$case !== 'initial') throw outOfOrder('initial', message?.$case);
      this.#isReady = true;
      this.#stream.send({ message: { $case: 'ready', ready: { heartbeatMs: HEARTBEAT_MS } } });
      if (message.initial.credit !== undefined) this.#grant(message.initial.credit);
      return;
    }
    switch (message?.$case) {
      case 'start':
        return this.#start(message.start);
      case 'stop':
        return this.#stop(message.stop);
      case 'credit':
        return this.#grant(message.credit);
      case 'heartbeat':
        return;
      default:
        throw outOfOrder('start, stop, credit or heartbeat', message?.$case);
    }
  }

  #grant(credit: FetchCredit): void {
    if (credit.bytes < 0n) throw outOfRange('credit.bytes', credit.bytes, 'at least 0');
    const bytes = credit.bytes > BigInt(CREDIT_BYTES_MAX) ? CREDIT_BYTES_MAX : Number(credit.bytes);
    this.#credit = Math.min(this.#credit + bytes, CREDIT_BYTES_MAX);
    this.#pump();
  }

  #start(start: FetchStart): void {
    checkPartitionCount('partitions', start.partitions.length);
    for (const wanted of start.partitions) {
      try {
        this.#subscribe(start.startId, new Reading(this.#options.registry, wanted));
      } catch (error) {
        this.#sendData(start.startId, failedPartition(wanted, asPartitaError(error)));
      }
    }
    if (this.#subscriptions.size > REQUEST_PARTITION_COUNT_MAX) {
      throw new PartitaError('LIMIT_EXCEEDED', `a stream reads at most ${REQUEST_PARTITION_COUNT_MAX} partitions`, {
        limit: 'partitions of a stream',
        value: String(this.#subscriptions.size),
      });
    }
    this.#pump();
  }

  #subscribe(startId: bigint, reading: Reading): void {
    const key = partitionKey(reading.actor);
    this.#drop(key);
    const none = { stopWatching: () => undefined, isCaughtUp: undefined, hold: undefined };
    const subscription: Subscription = { startId, reading, ...none };
    subscription.stopWatching = reading.actor.onChange(() => {
      this.#ring.add(subscription);
      this.#pump();
    });
    this.#subscriptions.set(key, subscription);
    this.#ring.add(subscription);
  }

  #stop(stop: FetchStop): void {
    for (const { topicId, topic, partition } of stop.partitions) {
      for (const [key, { reading }] of topicId === '' ? this.#subscriptions : []) {
        const { actor } = reading;
        if (actor.partition === partition && actor.topic.config.topic === topic) this.#drop(key);
      }
      if (topicId !== '') this.#drop(partitionKey({ topicId, partition }));
    }
  }

  #drop(key: string): void {
    const subscription = this.#subscriptions.get(key);
    if (subscription === undefined) return;
    subscription.stopWatching();
    subscription.hold?.cancel();
    this.#subscriptions.delete(key);
    this.#ring.delete(subscription);
  }

  /** Serves the ring until it is empty, the credit is used up or the connection is full. One at a time. */
  #pump(): void {
    if (this.#isPumping || this.#isClosed || this.#ring.size === 0) return;
    this.#isPumping = true;
    void this.#serveRing().finally(() => {
      this.#isPumping = false;
      // What was granted or appended in the last moment found the pump still running.
      if (this.#canSend() && this.#ring.size > 0) this.#pump();
    });
  }

  async #serveRing(): Promise<void> {
    // A change may come in the middle of a step of the replica: look at it when that is over.
    await Promise.resolve();
    for (const subscription of this.#ring) {
      if (this.#isClosed) return;
      if (subscription.reading.hasMore && subscription.reading.fault() === undefined && !this.#canSend()) {
        this.#tellPosition(subscription);
        continue;
      }
      this.#ring.delete(subscription);
      await this.#serve(subscription);
    }
  }

  #canSend(): boolean {
    return this.#credit > 0 && this.#stream.writable && !this.#isClosed;
  }

  async #serve(subscription: Subscription): Promise<void> {
    const { reading, startId } = subscription;
    const fault = reading.fault();
    if (fault !== undefined) {
      this.#fail(subscription, fault);
      return;
    }
    if (reading.hasMore && this.#isHeld(subscription)) {
      this.#tellPosition(subscription);
      return;
    }
    if (reading.hasMore) {
      const before = reading.offset;
      let bytes: Uint8Array;
      try {
        bytes = await reading.read(Math.min(SLICE_BYTES, this.#credit, this.#quotaBytes(reading)));
      } catch (error) {
        this.#fail(subscription, asPartitaError(error));
        return;
      }
      if (this.#subscriptions.get(partitionKey(reading.actor)) !== subscription) return;
      // Cut short by an election meanwhile: the change that comes with it puts the partition into the ring again.
      if (bytes.length === 0 && reading.offset === before) return;
      this.#credit -= bytes.length;
      const { topic } = reading.actor;
      this.#options.metrics.fetched(topic, bytes);
      if (this.#options.brake.isOn) this.#options.brake.spend(this.#clientId, topic.config.topic, bytes.length);
      // Also without a batch: the offset has passed a hole that compaction left.
      this.#sendData(startId, reading.answer(bytes), bytes.length);
    }
    if (reading.isDone) this.#drop(partitionKey(reading.actor));
    else if (reading.hasMore) this.#ring.add(subscription);
    else this.#tellPosition(subscription);
  }

  /** True while a quota is overdrawn: the partition comes into the ring again when that is paid back. */
  #isHeld(subscription: Subscription): boolean {
    const { brake, timers } = this.#options;
    const { topic } = subscription.reading.actor;
    if (subscription.hold !== undefined) return true;
    if (!brake.isOn || topic.isInternal) return false;
    const waitMs = brake.waitMs(this.#clientId, topic.config.topic);
    if (waitMs === 0) return false;
    // Quotas may change meanwhile.
    const holdMs = Math.min(waitMs, QUOTA_DELAY_MS_MAX);
    brake.noteHold(this.#clientId, topic.config.topic, holdMs);
    subscription.hold = timers.after(holdMs, () => {
      subscription.hold = undefined;
      this.#ring.add(subscription);
      this.#pump();
    });
    return true;
  }

  /** What quotas leave of a slice. */
  #quotaBytes({ actor: { topic } }: Reading): number {
    const { brake } = this.#options;
    return brake.isOn && !topic.isInternal ? brake.sliceBytes(this.#clientId, topic.config.topic) : SLICE_BYTES;
  }

  #fail(subscription: Subscription, error: PartitaError): void {
    const { reading, startId } = subscription;
    const key = partitionKey(reading.actor);
    if (this.#subscriptions.get(key) !== subscription) return;
    this.#drop(key);
    this.#sendData(startId, reading.answer(undefined, error));
  }

  /** Tells, when it has changed, whether the reader has all that is committed. */
  #tellPosition(subscription: Subscription): void {
    const { reading } = subscription;
    const isCaughtUp = !reading.hasMore && !reading.isAhead;
    const before = subscription.isCaughtUp;
    if (before === isCaughtUp || (before === undefined && !isCaughtUp)) return;
    subscription.isCaughtUp = isCaughtUp;
    const watermark = watermarkOf(reading.actor);
    this.#stream.send({
      message: isCaughtUp ? { $case: 'caughtUp', caughtUp: watermark } : { $case: 'fellBehind', fellBehind: watermark },
    });
  }

  #sendData(startId: bigint, partition: FetchedPartition, bytes = 0): void {
    this.#stream.send({ message: { $case: 'data', data: { startId, partition } } }, bytes);
  }

  #beat(): void {
    this.#timer = this.#options.timers.after(HEARTBEAT_MS, () => {
      const quietMs = this.#options.clock.monotonicMs() - this.#heardAtMs;
      if (quietMs > STREAM_SILENCE_MS_MAX) {
        this.#stream.end(silent(quietMs));
        return;
      }
      if (this.#isReady && this.#stream.writable) {
        const watermarks = [...this.#subscriptions.values()].map(({ reading }) => watermarkOf(reading.actor));
        this.#stream.send({ message: { $case: 'heartbeat', heartbeat: { watermarks } } });
      }
      this.#beat();
    });
  }
}

function watermarkOf(actor: PartitionActor): PartitionWatermark {
  return {
    topicId: actor.topicId,
    partition: actor.partition,
    highWatermark: actor.state.highWatermark,
    logStartOffset: actor.log.logStart,
  };
}
