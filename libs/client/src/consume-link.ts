/** One Consume stream of one member to one consumer-group instance: heartbeats, and the end of silent streams. */
import { HEARTBEAT_MS, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { GroupServiceService } from '@partita/protocol';
import type { ConsumeInitial, ConsumeRequest, ConsumeResponse } from '@partita/protocol';
import { durationMs } from './position.ts';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';

export type MemberMessage = NonNullable<ConsumeRequest['message']>;
export type GroupMessage = NonNullable<ConsumeResponse['message']>;

const SILENT_BEATS_MAX = 10;
/** Beats within a session time-out, so that one that is late does not put the member out. */
const BEATS_PER_SESSION = 3;
const BEAT_MS_MIN = 100;

export class ConsumeLink {
  readonly #stream: BidiStream<ConsumeRequest>;
  readonly #onMessage: (message: GroupMessage) => void;
  #heartbeat: ReturnType<typeof setInterval>;
  #silenceMsMax = STREAM_SILENCE_MS_MAX;
  #heardMs = performance.now();

  readonly #beatMsMax: number;

  constructor(pool: ChannelPool, address: string, initial: ConsumeInitial, onMessage: (message: GroupMessage) => void) {
    this.#onMessage = onMessage;
    const { sessionTimeout } = initial;
    const sessionMs = sessionTimeout === undefined ? Infinity : durationMs(sessionTimeout);
    this.#beatMsMax = Math.max(BEAT_MS_MIN, sessionMs / BEATS_PER_SESSION);
    this.#stream = openBidi(pool.client(address), GroupServiceService.consume, {
      onMessage: ({ message }) => this.#receive(message),
      onClose: () => clearInterval(this.#heartbeat),
    });
    this.#heartbeat = this.#beatEvery(HEARTBEAT_MS);
    this.send({ $case: 'initial', initial });
  }

  /** Resolves when the stream is over: undefined = ended by the server without error. */
  get closed(): Promise<PartitaError | undefined> {
    return this.#stream.closed;
  }

  /** `traceparent`: of the span that sends it, or ''. */
  send(message: MemberMessage, traceparent = ''): void {
    this.#stream.send({ message, traceparent });
  }

  /** Ends the stream once what was sent has left; the membership lives on until its session time-out. */
  end(): void {
    this.#stream.end();
  }

  /** Ends the stream at once; the membership lives on until its session time-out. */
  cancel(): void {
    this.#stream.cancel();
  }

  #receive(message: ConsumeResponse['message']): void {
    this.#heardMs = performance.now();
    if (message === undefined) return;
    if (message.$case === 'joined' && message.joined.heartbeatMs > 0) {
      this.#silenceMsMax = message.joined.heartbeatMs * SILENT_BEATS_MAX;
      clearInterval(this.#heartbeat);
      this.#heartbeat = this.#beatEvery(message.joined.heartbeatMs);
    }
    this.#onMessage(message);
  }

  /** A handler may take its time: the beats do not wait for it. Only an event loop that is blocked misses them. */
  #beatEvery(intervalMs: number): ReturnType<typeof setInterval> {
    return setInterval(() => this.#beat(), Math.min(intervalMs, this.#beatMsMax));
  }

  #beat(): void {
    if (performance.now() - this.#heardMs > this.#silenceMsMax) this.#stream.cancel();
    else this.send({ $case: 'heartbeat', heartbeat: { positions: [] } });
  }
}
