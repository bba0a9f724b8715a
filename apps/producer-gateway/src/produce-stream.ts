/**
 * One open ProduceStream: frames in, results out. What may be in flight is told in `ready`; a client that sends more gets
 * LIMIT_EXCEEDED for the frame, one that never reads is pushed back by not being read.
 */
import {
  DEADLINE_MS_MAX,
  DelayRoom,
  HEARTBEAT_MS,
  PartitaError,
  QUOTA_STREAM_DELAYED_BYTES_MAX,
  QUOTA_STREAM_DELAYED_COUNT_MAX,
  STREAM_FRAMES_IN_FLIGHT_COUNT_MAX,
  STREAM_SILENCE_MS_MAX,
} from '@partita/domain';
import type { AppendOutcome } from '@partita/client';
import { ProduceRequest } from '@partita/protocol';
import type {
  ProduceBatchFrame,
  ProduceFrame,
  ProduceResponse,
  ProduceStreamRequest,
  ProduceStreamResponse,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import type { BidiHandlers, CallContext, ServerBidiStream } from '@partita/rpc/server';
import { batchResult } from './batch-append.ts';
import type { BatchAppend } from './batch-append.ts';
import { callerOf } from './caller.ts';
import type { Caller } from './caller.ts';
import type { GatewayMeter } from './gateway-meter.ts';
import type { ProducerParts } from './producer-service.ts';
import { PublishTrace, publishedRecords, publishParent, publishTracing } from './publish-trace.ts';
import type { PublishTracing } from './publish-trace.ts';
import type { RecordAppend } from './record-append.ts';
import { requestBytes } from './request-bytes.ts';

const BYTES_IN_FLIGHT_MAX = 32 * 1024 * 1024;
/** Told to clients of a draining gateway; after it a stream is ended as soon as all is answered. */
const DRAIN_GRACE_MS = 5000;

export class ProduceStream implements BidiHandlers<ProduceStreamRequest> {
  readonly #stream: ServerBidiStream<ProduceStreamResponse>;
  readonly #context: CallContext;
  readonly #caller: Caller;
  readonly #records: RecordAppend;
  readonly #batches: BatchAppend;
  readonly #meter: GatewayMeter;
  readonly #tracing: PublishTracing;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  /** What waits for quotas; the rest of what may be in flight is left to other topics. */
  readonly #delayed = new DelayRoom(QUOTA_STREAM_DELAYED_COUNT_MAX, QUOTA_STREAM_DELAYED_BYTES_MAX);
  #opened = false;
  #ended = false;
  #framesInFlight = 0;
  #bytesInFlight = 0;
  #heardMs = performance.now();
  /** Not read while the client does not read its results. */
  #paused = false;
  #drainTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    stream: ServerBidiStream<ProduceStreamResponse>,
    context: CallContext,
    { records, batches, meter, tracing }: ProducerParts,
  ) {
    this.#tracing = publishTracing(tracing);
    this.#stream = stream;
    this.#context = context;
    this.#caller = callerOf(context);
    this.#records = records;
    this.#batches = batches;
    this.#meter = meter;
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    stream.onDrain(() => this.#resume());
    context.draining.addEventListener('abort', this.#onDraining, { once: true });
  }

  onMessage({ message }: ProduceStreamRequest): void {
    this.#heardMs = performance.now();
    if (message === undefined)
      throw new PartitaError('STREAM_ORDER', 'a message without content', { received: 'nothing' });
    if (this.#opened === (message.$case === 'initial')) {
      const expected = this.#opened ? 'produce, batch or heartbeat' : 'initial';
      throw new PartitaError('STREAM_ORDER', `expected ${expected}, received ${message.$case}`, {
        expected,
        received: message.$case,
      });
    }
    if (message.$case === 'initial') return this.#open();
    if (message.$case === 'produce') return this.#produce(message.produce);
    if (message.$case === 'batch') this.#append(message.batch);
  }

  onEnd(): void {
    this.#ended = true;
    this.#endWhenDone();
  }

  onClose(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#drainTimer);
    this.#context.draining.removeEventListener('abort', this.#onDraining);
  }

  #open(): void {
    this.#opened = true;
    const ready = {
      heartbeatMs: HEARTBEAT_MS,
      framesInFlightMax: STREAM_FRAMES_IN_FLIGHT_COUNT_MAX,
      bytesInFlightMax: BigInt(BYTES_IN_FLIGHT_MAX),
    };
    this.#send({ $case: 'ready', ready });
  }

  #produce(frame: ProduceFrame): void {
    const request = frame.request ?? ProduceRequest.fromPartial({});
    const bytes = requestBytes(request);
    if (!this.#take(frame.frameId, bytes)) return;
    const parent = publishParent(this.#tracing, frame.traceparent);
    const trace =
      parent === undefined
        ? undefined
        : PublishTrace.begin(parent, publishedRecords(request, frame.traceparent), this.#context);
    const { clientId } = this.#context;
    const arrived = { form: 'stream', trace, caller: this.#caller, clientId, room: this.#delayed } as const;
    this.#records.produce(request, this.#deadlineAt(frame.timeoutMs), arrived).then(
      (response) => this.#answer(frame.frameId, bytes, response),
      (error: unknown) => this.#answer(frame.frameId, bytes, error),
    );
  }

  #append(frame: ProduceBatchFrame): void {
    const bytes = frame.recordBatches.byteLength;
    if (!this.#take(frame.frameId, bytes)) return;
    const { topic, traceparent, links } = frame;
    const parent = publishParent(this.#tracing, traceparent);
    const trace =
      parent === undefined
        ? undefined
        : PublishTrace.begin(parent, { topic, recordCount: 0, linked: links?.traceparents ?? [] }, this.#context);
    const beganMs = this.#meter.began();
    const done = (outcome: AppendOutcome): void => {
      this.#meter.batchAnswered(topic, bytes, outcome, beganMs);
      trace?.end(outcome instanceof PartitaError ? outcome : undefined);
      const answer = outcome instanceof PartitaError ? outcome : { results: [batchResult(frame.partition, outcome)] };
      this.#answer(frame.frameId, bytes, answer);
    };
    const deadlineAtMs = this.#deadlineAt(frame.timeoutMs);
    const { clientId } = this.#context;
    const caller = this.#caller;
    this.#batches.append({ frame, trace, caller, deadlineAtMs, clientId, room: this.#delayed, done });
  }

  #take(frameId: bigint, bytes: number): boolean {
    const fits = this.#bytesInFlight === 0 || this.#bytesInFlight + bytes <= BYTES_IN_FLIGHT_MAX;
    if (fits && this.#framesInFlight < STREAM_FRAMES_IN_FLIGHT_COUNT_MAX) {
      this.#framesInFlight += 1;
      this.#bytesInFlight += bytes;
      return true;
    }
    const metadata = {
      limit: fits ? 'frames_in_flight_max' : 'bytes_in_flight_max',
      value: String(fits ? STREAM_FRAMES_IN_FLIGHT_COUNT_MAX : BYTES_IN_FLIGHT_MAX),
    };
    const error = new PartitaError('LIMIT_EXCEEDED', 'more in flight than `ready` allows; wait for results', metadata);
    this.#meter.refused(error);
    this.#send({ $case: 'result', result: { frameId, outcome: { $case: 'error', error: toRpcStatus(error) } } });
    return false;
  }

  #answer(frameId: bigint, bytes: number, outcome: unknown): void {
    this.#framesInFlight -= 1;
    this.#bytesInFlight -= bytes;
    const response = isResponse(outcome)
      ? ({ $case: 'response', response: outcome } as const)
      : ({ $case: 'error', error: toRpcStatus(outcome) } as const);
    this.#send({ $case: 'result', result: { frameId, outcome: response } });
    this.#endWhenDone();
  }

  #send(message: NonNullable<ProduceStreamResponse['message']>): void {
    if (this.#stream.send({ message }) || this.#paused) return;
    this.#paused = true;
    this.#stream.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // While it was paused nothing could be heard.
    this.#heardMs = performance.now();
    this.#stream.resume();
  }

  #beat(): void {
    if (!this.#paused && performance.now() - this.#heardMs > STREAM_SILENCE_MS_MAX) {
      this.#stream.end(new PartitaError('TIMED_OUT', 'no message and no heartbeat from the client for 10 s'));
    } else this.#send({ $case: 'heartbeat', heartbeat: {} });
  }

  readonly #onDraining = (): void => {
    this.#send({ $case: 'draining', draining: { graceMs: DRAIN_GRACE_MS } });
    this.#drainTimer = setTimeout(() => this.onEnd(), DRAIN_GRACE_MS);
  };

  #endWhenDone(): void {
    if (this.#ended && this.#framesInFlight === 0) this.#stream.end();
  }

  #deadlineAt(timeoutMs: number): number {
    return performance.now() + (timeoutMs > 0 ? Math.min(timeoutMs, DEADLINE_MS_MAX) : DEADLINE_MS_MAX);
  }
}

function isResponse(outcome: unknown): outcome is ProduceResponse {
  return typeof outcome === 'object' && outcome !== null && 'results' in outcome;
}
