/**
 * Handlers as data: `unary`, `serverStreaming` and `bidi` say what a method is, the server binds it to gRPC. A thrown
 * PartitaError becomes its status; anything else becomes INTERNAL, is logged under the request id, and tells the caller
 * nothing more.
 */
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import type { PartitaError } from '@partita/domain';
import type { ChannelPool } from '../client/channel-pool.ts';
import type { CallContext } from './call-context.ts';

/** Where a unary call goes instead of to the local handler. */
export interface RelayChoice<Request = unknown> {
  readonly pool: ChannelPool;
  /** True = a call that was passed on and got no answer fails with OUTCOME_UNKNOWN: a repeat may do it twice. */
  readonly append?: boolean;
  /** The address to pass the request on to, unchanged; undefined = handle it here. Asked before each call. */
  target(context: CallContext, request: Request): string | undefined | Promise<string | undefined>;
}

export interface UnaryMethod<Request, Response> {
  readonly kind: 'unary';
  readonly handle: (request: Request, context: CallContext) => Response | Promise<Response>;
  /** True = once the handler runs its effect may happen: its deadline passes as OUTCOME_UNKNOWN, not as TIMED_OUT. */
  readonly append: boolean;
  readonly relay: RelayChoice<Request> | undefined;
}

/** The sending half of a stream. */
export interface ServerStream<Response> {
  /**
   * Sends a message; `bytes` is its size, counted against the stream's bound. False = full: send no more until
   * `onDrain`. A sender that goes on is stopped with QUEUE_FULL at twice the bound. Sending on a closed stream does
   * nothing.
   */
  send(message: Response, bytes?: number): boolean;
  /** True when a `send` now would return true. */
  readonly writable: boolean;
  /** Bytes handed to `send` and not yet to the connection. */
  readonly pendingBytes: number;
  /** Calls `listener` each time the stream has room again after `send` returned false. One listener. */
  onDrain(listener: () => void): void;
  /** Calls `listener` once, when the stream is over for whatever reason, cancellation included. */
  onClose(listener: () => void): void;
  /** Ends the stream: after the messages sent so far, status OK or that of `error`. */
  end(error?: unknown): void;
}

/** A stream both ways. Reading starts when `open` has returned its handlers. */
export interface ServerBidiStream<Response> extends ServerStream<Response> {
  /** No more `onMessage` until `resume`, beyond the few that are decoded already; the caller is pushed back by HTTP/2. */
  pause(): void;
  resume(): void;
}

export interface ServerStreamMethod<Request, Response> {
  readonly kind: 'serverStream';
  /** The stream ends when the handler calls `end`, or throws; not when it returns. */
  readonly handle: (request: Request, stream: ServerStream<Response>, context: CallContext) => void | Promise<void>;
}

/** What the server calls for one open stream. A throw from any of them ends the stream with that error. */
export interface BidiHandlers<Request> {
  onMessage(message: Request): void;
  /** The caller sends no more. Default: ends the stream with OK. */
  onEnd?(): void;
  /** The stream is over; `error` is set when the caller cancelled or sent what cannot be read. Called once. */
  onClose?(error: PartitaError | undefined): void;
}

export interface BidiMethod<Request, Response> {
  readonly kind: 'bidi';
  readonly open: (stream: ServerBidiStream<Response>, context: CallContext) => BidiHandlers<Request>;
  /** True = the handler may pass the stream on with `relayBidi`: messages remember their bytes. */
  readonly relayed: boolean;
}

/** A method of any kind. */
export type Method<Request, Response> =
  UnaryMethod<Request, Response> | ServerStreamMethod<Request, Response> | BidiMethod<Request, Response>;

type MethodOf<D> =
  D extends MethodDefinition<infer Request, infer Response>
    ? D extends { readonly requestStream: true }
      ? D extends { readonly responseStream: true }
        ? BidiMethod<Request, Response>
        : never
      : D extends { readonly responseStream: true }
        ? ServerStreamMethod<Request, Response>
        : UnaryMethod<Request, Response>
    : never;

/** Handlers for some or all methods of a service; the rest answers NOT_IMPLEMENTED. */
export type Implementation<D> = { readonly [K in keyof D]?: MethodOf<D[K]> };

/** A request and its response. */
export function unary<Request, Response>(
  handle: UnaryMethod<Request, Response>['handle'],
  options: { readonly append?: boolean; readonly relay?: RelayChoice<NoInfer<Request>> } = {},
): UnaryMethod<Request, Response> {
  return { kind: 'unary', handle, append: options.append ?? false, relay: options.relay };
}

/** A request and a stream of responses. */
export function serverStreaming<Request, Response>(
  handle: ServerStreamMethod<Request, Response>['handle'],
): ServerStreamMethod<Request, Response> {
  return { kind: 'serverStream', handle };
}

/** A stream both ways. */
export function bidi<Request, Response>(
  open: BidiMethod<Request, Response>['open'],
  options: { readonly relayed?: boolean } = {},
): BidiMethod<Request, Response> {
  return { kind: 'bidi', open, relayed: options.relayed ?? false };
}

/** Ties handlers to their service, so that names and message types are checked where they are written. */
export function implement<const D extends ServiceDefinition>(
  _definition: D,
  methods: Implementation<D>,
): Implementation<D> {
  return methods;
}
