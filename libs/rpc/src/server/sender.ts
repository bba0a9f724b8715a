/** The sending half of a server's stream, over either kind of grpc-js stream. */
import type { Metadata } from '@grpc/grpc-js';
import { SendQueue } from '../send-queue.ts';
import type { MessageSink } from '../send-queue.ts';
import type { WireStatus } from '../status.ts';
import type { OpenCall } from './call-context.ts';
import type { ServerStream } from './methods.ts';
import type { ServerCore } from './server-core.ts';
import { trailers } from './server-core.ts';

/** The part of a grpc-js stream that is needed here. */
export interface GrpcStream<Response> extends MessageSink<Response> {
  end(trailers: Metadata): void;
  /** grpc-js sends an error that is emitted on its stream as the status. */
  emit(event: 'error', status: WireStatus): unknown;
  once(event: 'cancelled', listener: () => void): unknown;
}

export class Sender<Response> implements ServerStream<Response> {
  readonly #core: ServerCore;
  readonly #context: OpenCall;
  readonly #stream: GrpcStream<Response>;
  readonly #queue: SendQueue<Response>;
  #drained: (() => void) | undefined;
  readonly #closed: (() => void)[] = [];
  /** No message after `end`. */
  #ended = false;
  #over = false;

  constructor(core: ServerCore, context: OpenCall, stream: GrpcStream<Response>) {
    this.#core = core;
    this.#context = context;
    this.#stream = stream;
    this.#queue = new SendQueue(stream, {
      budget: core.budget,
      onDrain: () => this.guard(() => this.#drained?.()),
      onOverrun: (error) => this.end(error),
    });
    // grpc-js tells the end of any call by this event: ended by us, cancelled, cut or too late.
    stream.once('cancelled', () => this.#close());
  }

  get writable(): boolean {
    return !this.#ended && this.#queue.writable;
  }

  get pendingBytes(): number {
    return this.#queue.pendingBytes;
  }

  send(message: Response, bytes = 0): boolean {
    return !this.#ended && this.#queue.send(message, bytes);
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  onClose(listener: () => void): void {
    if (this.#over) listener();
    else this.#closed.push(listener);
  }

  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    if (error === undefined) {
      this.#stream.end(trailers(this.#context.requestId));
    } else {
      this.#stream.emit('error', this.#core.failure(error, this.#context.path, this.#context.requestId));
    }
  }

  /** Runs a callback of the handler's; its throw ends the stream. */
  guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.end(error);
    }
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended = true;
    this.#queue.close();
    this.#context.abort();
    for (const listener of this.#closed) this.guard(listener);
  }
}
