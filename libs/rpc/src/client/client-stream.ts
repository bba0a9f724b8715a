/**
 * Streams for callers, by callbacks: no promise and no closure per message. Reading is pushed back by `pause`, sending by
 * the result of `send`; both end up in HTTP/2 flow control.
 */
import { Metadata } from '@grpc/grpc-js';
import type { Client, ClientDuplexStream, ClientReadableStream, MethodDefinition, ServiceError } from '@grpc/grpc-js';
import type { PartitaError } from '@partita/domain';
import { SendQueue } from '../send-queue.ts';
import { fromServiceError } from '../status.ts';
import type { StatusReading } from '../status.ts';
import { cancelledBefore, reading, startOrThrow } from './call.ts';
import type { CallOptions } from './call.ts';

export interface StreamOptions extends CallOptions {
  /** True = messages carry appends: an end without a definite answer is OUTCOME_UNKNOWN. */
  readonly append?: boolean;
  /** Bytes waiting to be sent at which `send` returns false. Default STREAM_PENDING_BYTES_MAX. */
  readonly pendingBytesMax?: number;
}

export interface StreamHandlers<Response> {
  onMessage(message: Response): void;
  /** There is room again after `send` returned false. */
  onDrain?(): void;
  /** The stream is over: undefined = status OK. Called once, and nothing after it. */
  onClose?(error: PartitaError | undefined): void;
}

export interface ReadStream {
  /** No more `onMessage` until `resume`, beyond those that are decoded already. */
  pause(): void;
  resume(): void;
  /** Ends the stream at once, with CANCELLED, or OUTCOME_UNKNOWN with `append`. */
  cancel(): void;
  /** Resolves, never rejects, when the stream is over: undefined = status OK. */
  readonly closed: Promise<PartitaError | undefined>;
}

export interface BidiStream<Request> extends ReadStream {
  /**
   * Sends a message; `bytes` is its size, counted against the bound. False = full or over: send no more until `onDrain`.
   * A sender that goes on is stopped with QUEUE_FULL at twice the bound.
   */
  send(message: Request, bytes?: number): boolean;
  /** True when a `send` now would return true. */
  readonly writable: boolean;
  /** Bytes handed to `send` and not yet to the connection. */
  readonly pendingBytes: number;
  /** No more messages from here; the stream ends when the server ends it. */
  end(): void;
}

/** Opens a stream both ways: `openBidi(pool.client(address), BrokerServiceService.appendStream, handlers)`. */
export function openBidi<Request, Response>(
  client: Client,
  method: MethodDefinition<Request, Response>,
  handlers: StreamHandlers<Response>,
  options: StreamOptions = {},
): BidiStream<Request> {
  if (options.signal?.aborted === true) throw cancelledBefore();
  const call = startOrThrow(() =>
    client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      options.metadata ?? new Metadata(),
      callOptions(options),
    ),
  );
  return new OpenBidi(call, handlers, options, reading(client, options.append));
}

/** Opens a stream of responses to one request. */
export function openServerStream<Request, Response>(
  client: Client,
  method: MethodDefinition<Request, Response>,
  request: Request,
  handlers: StreamHandlers<Response>,
  options: StreamOptions = {},
): ReadStream {
  if (options.signal?.aborted === true) throw cancelledBefore();
  const call = startOrThrow(() =>
    client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      options.metadata ?? new Metadata(),
      callOptions(options),
    ),
  );
  return new OpenRead(call, handlers, options, reading(client, options.append));
}

function callOptions(options: StreamOptions): { deadline?: number } {
  return options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
}

class OpenRead<Response> implements ReadStream {
  readonly closed: Promise<PartitaError | undefined>;
  protected over = false;
  readonly #call: ClientReadableStream<Response>;
  readonly #handlers: StreamHandlers<Response>;
  readonly #signal: AbortSignal | undefined;
  #resolve: (error: PartitaError | undefined) => void = () => {};

  constructor(
    call: ClientReadableStream<Response>,
    handlers: StreamHandlers<Response>,
    options: StreamOptions,
    how: StatusReading,
  ) {
    this.#call = call;
    this.#handlers = handlers;
    this.#signal = options.signal;
    this.closed = new Promise((resolve) => (this.#resolve = resolve));
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    call.on('data', (message: Response) => {
      if (!this.over) handlers.onMessage(message);
    });
    call.on('error', (error: ServiceError) => this.close(fromServiceError(error, how)));
    // A failed stream ends too, after its error.
    call.on('end', () => this.close(undefined));
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  cancel(): void {
    this.#call.cancel();
  }

  protected close(error: PartitaError | undefined): void {
    if (this.over) return;
    this.over = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#handlers.onClose?.(error);
    this.#resolve(error);
  }

  readonly #onAbort = (): void => this.cancel();
}

class OpenBidi<Request, Response> extends OpenRead<Response> implements BidiStream<Request> {
  readonly #duplex: ClientDuplexStream<Request, Response>;
  readonly #queue: SendQueue<Request>;
  #ended = false;

  constructor(
    call: ClientDuplexStream<Request, Response>,
    handlers: StreamHandlers<Response>,
    options: StreamOptions,
    how: StatusReading,
  ) {
    super(call, handlers, options, how);
    this.#duplex = call;
    this.#queue = new SendQueue(call, {
      pendingBytesMax: options.pendingBytesMax,
      onDrain: () => handlers.onDrain?.(),
      onOverrun: (error) => {
        this.close(error);
        call.cancel();
      },
    });
  }

  get writable(): boolean {
    return !this.#ended && this.#queue.writable;
  }

  get pendingBytes(): number {
    return this.#queue.pendingBytes;
  }

  send(message: Request, bytes = 0): boolean {
    return !this.#ended && this.#queue.send(message, bytes);
  }

  end(): void {
    if (this.#ended || this.over) return;
    this.#ended = true;
    this.#duplex.end();
  }

  protected override close(error: PartitaError | undefined): void {
    this.#queue.close();
    super.close(error);
  }
}
