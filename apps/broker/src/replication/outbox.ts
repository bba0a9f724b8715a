/**
 * Messages of a stream that must not be dropped and are not worth waiting for: joins, acknowledgements, answers. They leave
 * in their order as the stream has room. Of a partition there are few, so their number is bounded by the partitions.
 */
import { PartitaError } from '@partita/domain';

const OUTBOX_COUNT_MAX = 100_000;

/** The sending half of a stream, client's or server's. */
export interface OutgoingStream<Message> {
  readonly writable: boolean;
  send(message: Message, bytes?: number): boolean;
}

export class Outbox<Message> {
  readonly #stream: OutgoingStream<Message>;
  #waiting: Message[] = [];

  constructor(stream: OutgoingStream<Message>) {
    this.#stream = stream;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Throws QUEUE_FULL when the other side takes nothing in. */
  push(message: Message): void {
    if (this.isEmpty && this.#stream.writable) {
      this.#stream.send(message);
      return;
    }
    if (this.#waiting.length >= OUTBOX_COUNT_MAX) {
      throw new PartitaError(
        'QUEUE_FULL',
        `${OUTBOX_COUNT_MAX} messages wait for a replication stream that takes none`,
      );
    }
    this.#waiting.push(message);
  }

  /** The stream has room again. */
  drain(): void {
    let sent = 0;
    for (const message of this.#waiting) {
      if (!this.#stream.writable) break;
      this.#stream.send(message);
      sent += 1;
    }
    this.#waiting = this.#waiting.slice(sent);
  }
}
