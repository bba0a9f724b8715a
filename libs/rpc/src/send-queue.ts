/**
 * The sending half of any stream, client's or server's: counts what was handed to grpc-js and not yet to the connection.
 * grpc-js buffers without bound when the result of `write` is ignored; here a full queue says so, tells once when there
 * is room again, and stops a sender that goes on regardless at twice the bound.
 */
import { PartitaError, STREAM_PENDING_BYTES_MAX, STREAM_PENDING_COUNT_MAX } from '@partita/domain';

/** What is needed of a grpc-js stream. */
export interface MessageSink<Message> {
  write(message: Message, written: () => void): unknown;
}

/** Bytes pending in all streams of a process part; shared by its queues. */
export interface ByteBudget {
  /** Invariant: the sum of pendingBytes of the open queues. */
  pendingBytes: number;
  readonly bytesMax: number;
}

export interface SendQueueOptions {
  readonly pendingBytesMax?: number | undefined;
  readonly budget?: ByteBudget | undefined;
  /** The queue was full and has room again. */
  readonly onDrain: () => void;
  /** The sender ignored a full queue; the stream has to end with this error. */
  readonly onOverrun: (error: PartitaError) => void;
}

export class SendQueue<Message> {
  readonly #sink: MessageSink<Message>;
  readonly #options: SendQueueOptions;
  readonly #bytesMax: number;
  /** Sizes of pending messages, oldest at #head; writes complete in order, so one callback serves them all. */
  #sizes: number[] = [];
  #head = 0;
  #pendingBytes = 0;
  #full = false;
  #closed = false;

  constructor(sink: MessageSink<Message>, options: SendQueueOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#bytesMax = options.pendingBytesMax ?? STREAM_PENDING_BYTES_MAX;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get writable(): boolean {
    return !this.#closed && !this.#full;
  }

  /** False when the queue is full or closed. */
  send(message: Message, bytes: number): boolean {
    if (this.#closed) return false;
    const count = this.#sizes.length - this.#head + 1;
    if (this.#full && (count > 2 * STREAM_PENDING_COUNT_MAX || this.#pendingBytes + bytes > 2 * this.#bytesMax)) {
      this.#overrun();
      return false;
    }
    this.#sizes.push(bytes);
    this.#add(bytes);
    this.#sink.write(message, this.#onWritten);
    this.#full ||= count >= STREAM_PENDING_COUNT_MAX || this.#pendingBytes >= this.#bytesMax || this.#budgetSpent();
    return !this.#full;
  }

  /** Forgets what is pending; no callback comes after it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#add(-this.#pendingBytes);
    this.#sizes = [];
    this.#head = 0;
  }

  readonly #onWritten = (): void => {
    if (this.#closed) return;
    this.#add(-(this.#sizes[this.#head] ?? 0));
    this.#head++;
    if (this.#head === this.#sizes.length || this.#head > STREAM_PENDING_COUNT_MAX) {
      this.#sizes.splice(0, this.#head);
      this.#head = 0;
    }
    const count = this.#sizes.length - this.#head;
    // Half empty, so that sender and connection overlap. An empty queue always drains: another one spent the budget.
    const roomy = count <= STREAM_PENDING_COUNT_MAX / 2 && this.#pendingBytes <= this.#bytesMax / 2;
    if (this.#full && roomy && (count === 0 || !this.#budgetSpent())) {
      this.#full = false;
      this.#options.onDrain();
    }
  };

  #add(bytes: number): void {
    this.#pendingBytes += bytes;
    if (this.#options.budget !== undefined) this.#options.budget.pendingBytes += bytes;
  }

  #budgetSpent(): boolean {
    const budget = this.#options.budget;
    return budget !== undefined && budget.pendingBytes >= budget.bytesMax;
  }

  #overrun(): void {
    const message = 'the stream is full and its sender did not wait: read faster, or send less';
    this.#options.onOverrun(
      new PartitaError('QUEUE_FULL', message, { queue: 'stream', limit: String(this.#bytesMax) }),
    );
  }
}
