/**
 * AppendStream: many frames under way on one stream. A frame is answered when all its entries are known, and never before
 * an earlier frame that names one of its partitions; frames of different partitions overtake each other. Too much in
 * flight stops the reading of the stream, nothing else.
 */
import {
  DEADLINE_MS_MAX,
  DelayRoom,
  HEARTBEAT_MS,
  QUOTA_STREAM_DELAYED_BYTES_MAX,
  QUOTA_STREAM_DELAYED_COUNT_MAX,
  STREAM_BYTES_IN_FLIGHT_MAX,
  STREAM_FRAMES_IN_FLIGHT_COUNT_MAX,
  STREAM_SILENCE_MS_MAX,
} from '@partita/domain';
import type { Clock, TimerHandle, Timers } from '@partita/domain';
import type {
  AppendEntry,
  AppendFrame,
  AppendResult,
  AppendStreamRequest,
  AppendStreamResponse,
} from '@partita/protocol';
import type { BidiHandlers, CallContext, ServerBidiStream } from '@partita/rpc/server';
import type { AppendCaller, Appender } from './append.ts';
import { checkPartitionCount, checkRange } from './request-checks.ts';
import { outOfOrder, silent } from './stream-rules.ts';

export interface AppendStreamOptions {
  readonly appender: Appender;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Told to clients when the broker drains, milliseconds. */
  readonly graceMs: number;
}

/**
 * How long a draining broker leaves a client to end the stream itself: a batch that is on its way when the broker ends it
 * would be in doubt.
 */
const DRAIN_LINGER_MS = 1000;

/** A frame that is not answered. */
interface OpenFrame {
  readonly frameId: bigint;
  readonly bytes: number;
  readonly keys: readonly string[];
  results: AppendResult[] | undefined;
  /** Earlier frames of its partitions that are not answered. */
  blockerCount: number;
  /** Later frames that wait for this one. */
  readonly blocked: OpenFrame[];
}

export class AppendStreamSession implements BidiHandlers<AppendStreamRequest> {
  readonly #stream: ServerBidiStream<AppendStreamResponse>;
  readonly #options: AppendStreamOptions;
  /** The newest unanswered frame of each partition, by what the entries call it. */
  readonly #lastOf = new Map<string, OpenFrame>();
  #frameCount = 0;
  #bytes = 0;
  #isReady = false;
  #isPaused = false;
  #hasEnded = false;
  /** What of it waits for quotas is bounded: the rest of what may be in flight is left to other topics. */
  readonly #caller: AppendCaller;
  #heardAtMs: number;
  #timer: TimerHandle | undefined;
  #drainTimer: TimerHandle | undefined;

  constructor(stream: ServerBidiStream<AppendStreamResponse>, context: CallContext, options: AppendStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    const room = new DelayRoom(QUOTA_STREAM_DELAYED_COUNT_MAX, QUOTA_STREAM_DELAYED_BYTES_MAX);
    this.#caller = { clientId: context.clientId, span: options.appender.callersSpan(), room };
    this.#heardAtMs = options.clock.monotonicMs();
    stream.onDrain(() => this.#resumeIfRoom());
    const announce = () => {
      stream.send({ message: { $case: 'draining', draining: { graceMs: options.graceMs } } });
      this.#drainTimer = options.timers.after(DRAIN_LINGER_MS, () => this.onEnd());
    };
    if (context.draining.aborted) announce();
    else context.draining.addEventListener('abort', announce, { once: true });
    stream.onClose(() => {
      this.#timer?.cancel();
      this.#drainTimer?.cancel();
      context.draining.removeEventListener('abort', announce);
    });
    this.#beat();
  }

  onMessage(request: AppendStreamRequest): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    const { message } = request;
    if (!this.#isReady) {
      if (message?.$case !== 'initial') throw outOfOrder('initial', message?.$case);
      this.#isReady = true;
      const ready = {
        heartbeatMs: HEARTBEAT_MS,
        framesInFlightMax: STREAM_FRAMES_IN_FLIGHT_COUNT_MAX,
        bytesInFlightMax: BigInt(STREAM_BYTES_IN_FLIGHT_MAX),
      };
      this.#stream.send({ message: { $case: 'ready', ready } });
      return;
    }
    if (message?.$case === 'append') this.#onFrame(message.append);
    else if (message?.$case !== 'heartbeat') throw outOfOrder('append or heartbeat', message?.$case);
  }

  /** The client sends no more: the stream ends when all is answered. */
  onEnd(): void {
    this.#hasEnded = true;
    this.#endIfDone();
  }

  #onFrame(append: AppendFrame): void {
    const { entries, timeoutMs } = append;
    checkRange('timeout_ms', timeoutMs, 0, DEADLINE_MS_MAX);
    checkPartitionCount('entries', entries.length);
    const frame: OpenFrame = {
      frameId: append.frameId,
      bytes: entries.reduce((sum, entry) => sum + entry.recordBatches.length, 0),
      keys: [...new Set(entries.map(nameOf))],
      results: undefined,
      blockerCount: 0,
      blocked: [],
    };
    for (const key of frame.keys) {
      const before = this.#lastOf.get(key);
      this.#lastOf.set(key, frame);
      if (before === undefined) continue;
      before.blocked.push(frame);
      frame.blockerCount += 1;
    }
    this.#frameCount += 1;
    this.#bytes += frame.bytes;
    const deadlineMs = this.#options.clock.monotonicMs() + (timeoutMs === 0 ? DEADLINE_MS_MAX : timeoutMs);
    this.#options.appender.appendAll(entries, deadlineMs, this.#caller, (results) => {
      frame.results = results;
      this.#answer(frame);
    });
    if (this.#hasRoom()) return;
    this.#isPaused = true;
    this.#stream.pause();
  }

  /** Answers the frame and those that only waited for it. */
  #answer(first: OpenFrame): void {
    const ready = [first];
    for (let frame = ready.pop(); frame !== undefined; frame = ready.pop()) {
      const { results, frameId } = frame;
      if (results === undefined || frame.blockerCount > 0) continue;
      this.#stream.send({ message: { $case: 'result', result: { frameId, results } } });
      this.#frameCount -= 1;
      this.#bytes -= frame.bytes;
      for (const key of frame.keys) if (this.#lastOf.get(key) === frame) this.#lastOf.delete(key);
      for (const next of frame.blocked) {
        next.blockerCount -= 1;
        ready.push(next);
      }
    }
    this.#resumeIfRoom();
    this.#endIfDone();
  }

  #hasRoom(): boolean {
    const hasFewFrames = this.#frameCount < STREAM_FRAMES_IN_FLIGHT_COUNT_MAX;
    return hasFewFrames && this.#bytes < STREAM_BYTES_IN_FLIGHT_MAX && this.#stream.writable;
  }

  #resumeIfRoom(): void {
    if (!this.#isPaused || !this.#hasRoom()) return;
    this.#isPaused = false;
    // While it was paused nothing could be heard.
    this.#heardAtMs = this.#options.clock.monotonicMs();
    this.#stream.resume();
  }

  #endIfDone(): void {
    if (this.#hasEnded && this.#frameCount === 0) this.#stream.end();
  }

  #beat(): void {
    this.#timer = this.#options.timers.after(HEARTBEAT_MS, () => {
      const quietMs = this.#options.clock.monotonicMs() - this.#heardAtMs;
      if (!this.#isPaused && !this.#hasEnded && quietMs > STREAM_SILENCE_MS_MAX) {
        this.#stream.end(silent(quietMs));
        return;
      }
      if (this.#isReady && this.#stream.writable) this.#stream.send({ message: { $case: 'heartbeat', heartbeat: {} } });
      this.#beat();
    });
  }
}

function nameOf(entry: AppendEntry): string {
  return `${entry.topicId === '' ? entry.topic : entry.topicId}/${entry.partition}`;
}
