/**
 * Sends plain records to a gateway, which chooses partitions and builds batches. A record goes at once when nothing of its
 * topic is under way, else it shares the next frame with what came meanwhile. Definite refusals that may pass are sent
 * again, in order; doubt is handed to the caller, since a second copy could be stored.
 */
import { PartitaError } from '@partita/domain';
import { Acks } from '@partita/protocol';
import type { Record as WireRecord } from '@partita/protocol';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import type { Endpoints } from '../endpoints.ts';
import { JITTER } from '../jitter.ts';
import { isPaid, RetryBudget } from '../retry-budget.ts';
import { GatewayStream } from './gateway-stream.ts';
import { ProduceLane } from './produce-lane.ts';
import type { LaneFrame, PendingRecord } from './produce-lane.ts';
import type { FrameOutcome, ProduceLink } from './produce-link.ts';
import { CODECS, isOneBatch } from './producer-options.ts';
import type { ProducerOptions } from './producer-options.ts';
import type { OutgoingCall, RecordSender } from './record-sender.ts';

const IDLE_LANE_COUNT_MAX = 1000;

export class PlainSender implements RecordSender {
  readonly #stream: GatewayStream;
  readonly #options: ProducerOptions;
  /** Those that calls share. */
  readonly #lanes = new Map<string, ProduceLane>();
  /** Lanes with something to send. */
  readonly #waitingLanes = new Set<ProduceLane>();
  readonly #budget = new RetryBudget();
  #isPumpQueued = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAtMs = Infinity;
  #isFlushing = false;

  constructor(pool: ChannelPool, endpoints: Endpoints, options: ProducerOptions) {
    this.#options = options;
    this.#stream = new GatewayStream(pool, endpoints, {
      onOpen: () => {},
      onRoom: () => this.#pumpSoon(),
      onFailure: () => this.#pumpSoon(),
    });
  }

  send(outgoing: OutgoingCall): () => void {
    const lane = this.#laneOf(outgoing);
    const pending = outgoing.records.map((record, index) => pendingRecord(outgoing, record, index));
    for (const record of pending) lane.push(record);
    if (!lane.underWay) this.#waitingLanes.add(lane);
    this.#pumpSoon();
    return () => giveUp(pending);
  }

  flush(isFlushing: boolean): void {
    this.#isFlushing = isFlushing;
    if (isFlushing) this.#pumpSoon();
  }

  expire(nowMs: number): void {
    for (const lane of this.#waitingLanes) {
      lane.expire(nowMs, this.#stream.error);
      if (lane.empty) this.#waitingLanes.delete(lane);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#stream.close();
  }

  #laneOf({ topic, options }: OutgoingCall): ProduceLane {
    if (isOneBatch(options)) return new ProduceLane(topic, options);
    const key = options.partition === undefined ? topic : `${topic}/${options.partition}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      if (this.#lanes.size >= IDLE_LANE_COUNT_MAX) this.#dropIdleLanes();
      lane = new ProduceLane(topic, { partition: options.partition });
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #dropIdleLanes(): void {
    for (const [key, lane] of this.#lanes) if (lane.empty && !lane.underWay) this.#lanes.delete(key);
  }

  /** After the caller's synchronous code, so that a loop of sends shares a frame. */
  #pumpSoon(): void {
    if (this.#isPumpQueued) return;
    this.#isPumpQueued = true;
    queueMicrotask(() => {
      this.#isPumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    const nowMs = performance.now();
    this.expire(nowMs);
    if (this.#waitingLanes.size === 0) return;
    const { link } = this.#stream;
    if (link === undefined) return;
    const lingerMs = this.#isFlushing ? 0 : (this.#options.lingerMs ?? 0);
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
    const { partition, requestId = '', expectedNextOffset, atomic = false } = lane.options;
    const request = {
      topic: lane.topic,
      partition,
      records,
      acks: this.#options.acks === 'leader' ? Acks.ACKS_LEADER : Acks.ACKS_ALL,
      requestId,
      expectedNextOffset,
      atomic,
      codec: CODECS[this.#options.codec ?? 'none'],
    };
    const { timeoutMs, bytes } = frame;
    if (lane.attempt === 0) this.#budget.called();
    link.sendRecords({ request, timeoutMs, traceparent, tracestate: '' }, bytes, (outcome) =>
      this.#onOutcome(lane, frame, outcome),
    );
  }

  #onOutcome(lane: ProduceLane, frame: LaneFrame, outcome: FrameOutcome): void {
    const error = lane.finish(frame, outcome);
    if (error === undefined) lane.attempt = 0;
    else if (error.metadata['index'] === undefined) {
      const delayMs = error.retryAfterMs ?? backoffDelayMs(lane.attempt, JITTER);
      const isAffordable = !isPaid(error) || this.#budget.trySpend();
      const slowDownMs = isAffordable ? 0 : backoffDelayMs(lane.attempt, JITTER);
      lane.notBeforeMs = performance.now() + delayMs + slowDownMs;
      lane.attempt += 1;
    }
    if (!lane.empty) this.#waitingLanes.add(lane);
    this.#pumpSoon();
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    const wake = (): void => {
      this.#timerAtMs = Infinity;
      this.#pump();
    };
    this.#timer = setTimeout(wake, Math.max(0, atMs - performance.now()));
  }
}

function pendingRecord(
  { call, sizes, queuedAtMs, deadlineAtMs }: OutgoingCall,
  record: WireRecord,
  index: number,
): PendingRecord {
  const pending: PendingRecord = {
    record,
    bytes: sizes[index] ?? 0,
    queuedAtMs,
    deadlineAtMs,
    sent: false,
    settled: false,
    settle: (outcome) => {
      pending.settled = true;
      call.settle(index, outcome);
    },
  };
  return pending;
}

function giveUp(pending: readonly PendingRecord[]): void {
  for (const record of pending) {
    if (record.settled) continue;
    record.settle(
      record.sent
        ? new PartitaError('OUTCOME_UNKNOWN', 'cancelled while the record was on its way; it may be stored')
        : new PartitaError('CANCELLED', 'cancelled before the record was sent'),
    );
  }
}
