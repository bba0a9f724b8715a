/** Binds a method with streams both ways to grpc-js. */
import type { MethodDefinition, ServerDuplexStream, handleBidiStreamingCall } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { requestIdOf } from '../metadata.ts';
import { OpenCall } from './call-context.ts';
import type { BidiHandlers, BidiMethod, ServerBidiStream } from './methods.ts';
import { Sender } from './sender.ts';
import type { GrpcStream } from './sender.ts';
import type { ServerCore } from './server-core.ts';
import { Unreadable } from './unreadable.ts';

export function bindBidi<Request, Response>(
  core: ServerCore,
  definition: MethodDefinition<Request, Response>,
  method: BidiMethod<Request, Response>,
): handleBidiStreamingCall<Request | Unreadable, Response> {
  const { path } = definition;
  return (call) => {
    const requestId = requestIdOf(call.metadata);
    let stream: OpenStream<Response> | undefined;
    try {
      core.admit();
      const context = new OpenCall(path, call, requestId, core.draining, Infinity);
      stream = new OpenStream<Response>(core, context, call);
      listen(stream, call, method.open(stream, context));
    } catch (error) {
      if (stream === undefined) call.emit('error', core.failure(error, path, requestId));
      else stream.end(error);
    }
  };
}

interface PausableStream<Response> extends GrpcStream<Response> {
  pause(): unknown;
  resume(): unknown;
}

class OpenStream<Response> extends Sender<Response> implements ServerBidiStream<Response> {
  readonly #call: PausableStream<Response>;
  /** Why the stream ended against its handler's will. */
  fault: PartitaError | undefined;
  /** The handler, or a fault, has ended the stream: what still arrives is dropped. */
  deaf = false;

  constructor(core: ServerCore, context: OpenCall, call: PausableStream<Response>) {
    super(core, context, call);
    this.#call = call;
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  override end(error?: unknown): void {
    this.deaf = true;
    super.end(error);
    // What the caller still sends is read and dropped, so that its sending does not keep the connection's window.
    this.#call.resume();
  }
}

function listen<Request, Response>(
  stream: OpenStream<Response>,
  call: ServerDuplexStream<Request | Unreadable, Response>,
  handlers: BidiHandlers<Request>,
): void {
  call.on('data', (message: Request | Unreadable) => {
    if (stream.deaf) return;
    try {
      if (message instanceof Unreadable) throw (stream.fault = message.error());
      handlers.onMessage(message);
    } catch (error) {
      stream.end(error);
    }
  });
  call.on('end', () => {
    // A stream that the caller resets ends too, in the same turn as it closes; only one that stays open was half-closed.
    setImmediate(() => {
      if (stream.deaf) return;
      if (handlers.onEnd === undefined) stream.end();
      else stream.guard(() => handlers.onEnd?.());
    });
  });
  stream.onClose(() => {
    const cut = stream.deaf ? undefined : new PartitaError('CANCELLED', 'the caller cancelled the stream or is gone');
    stream.deaf = true;
    handlers.onClose?.(stream.fault ?? cut);
  });
}
