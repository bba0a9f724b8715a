/** One Consume stream of one member to one consumer-group instance: heartbeats, and the end of silent streams. */
import { HEARTBEAT_MS, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { GroupServiceService } from '@partita/protocol';
import type { ConsumeInitial, ConsumeRequest, ConsumeResponse } from '@partita/protocol';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';

export type MemberMessage = NonNullable<ConsumeRequest['message']>;
export type GroupMessage = NonNullable<ConsumeResponse['message']>;

const SILENT_BEATS_MAX = 10;

export class ConsumeLink {
  readonly #stream: BidiStream<ConsumeRequest>;
  readonly #onMessage: (message: GroupMessage) => void;
  #heartbeat: ReturnType<typeof setInterval>;
  #silenceMsMax = STREAM_SILENCE_MS_MAX;
  #heardMs = performance.now();

  constructor(pool: ChannelPool, address: string, initial: ConsumeInitial, onMessage: (message: GroupMessage) => void) {
    this.#onMessage = onMessage;
    this.#stream = openBidi(pool.client(address), GroupServiceService.consume, {
      onMessage: ({ message }) => this.#receive(message),
      onClose: () => clearInterval(this.#heartbeat),
    });
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.send({ $case: 'initial', initial });
  }

  /** Resolves when the stream is over: undefined = ended by the server without error. */
  get closed(): Promise<PartitaError | undefined> {
    return this.#stream.closed;
  }

  send(message: MemberMessage): void {
    this.#stream.send({ message });
  }

  /** Ends the stream; the membership lives on until its session time-out. */
  cancel(): void {
    this.#stream.cancel();
  }

  #receive(message: ConsumeResponse['message']): void {
    this.#heardMs = performance.now();
    if (message === undefined) return;
    if (message.$case === 'joined' && message.joined.heartbeatMs > 0) {
      this.#silenceMsMax = message.joined.heartbeatMs * SILENT_BEATS_MAX;
      clearInterval(this.#heartbeat);
      this.#heartbeat = setInterval(() => this.#beat(), message.joined.heartbeatMs);
    }
    this.#onMessage(message);
  }

  #beat(): void {
    if (performance.now() - this.#heardMs > this.#silenceMsMax) this.#stream.cancel();
    else this.send({ $case: 'heartbeat', heartbeat: { positions: [] } });
  }
}
