/**
 * Traces of calls that come in. With tracing on the adapters' handlers are wrapped, once, when a service is bound; with it
 * off they are not.
 */
import { status } from '@grpc/grpc-js';
import type { handleUnaryCall } from '@grpc/grpc-js';
import { ROOT_CONTEXT, SpanKind, context, propagation, trace } from '@opentelemetry/api';
import type { Context } from '@opentelemetry/api';
import { beginCallSpan, endCallSpan, hasSampledCaller, metadataGetter } from '../call-span.ts';
import type { TracingMode } from '../tracing-mode.ts';
import type { CallContext } from './call-context.ts';
import type { Method } from './methods.ts';

/** The handler with a span around each call that is traced; the same handler with tracing off. */
export function traceUnary<Request, Response>(
  mode: TracingMode,
  path: string,
  handle: handleUnaryCall<Request, Response>,
): handleUnaryCall<Request, Response> {
  if (mode === 'off') return handle;
  const tracer = trace.getTracer('partita-rpc');
  return (call, callback) => {
    if (mode === 'follow' && !hasSampledCaller(call.metadata)) return handle(call, callback);
    const parent = propagation.extract(ROOT_CONTEXT, call.metadata, metadataGetter);
    const span = beginCallSpan(tracer, SpanKind.SERVER, path, parent);
    let isOpen = true;
    const end = (code: number): void => {
      if (isOpen) endCallSpan(span, code);
      isOpen = false;
    };
    // grpc-js tells the end of any call by this event, also of one that is too late or whose caller is gone.
    call.once('cancelled', () =>
      end(Date.now() < Number(call.getDeadline()) ? status.CANCELLED : status.DEADLINE_EXCEEDED),
    );
    context.with(trace.setSpan(parent, span), () => {
      handle(call, (error, response, trailer, flags) => {
        end(error === null ? status.OK : (error.code ?? status.UNKNOWN));
        callback(error, response, trailer, flags);
      });
    });
  };
}

/** A streaming method whose handlers run in the context that its caller sent, if that is sampled: it has no span here. */
export function traceStream<Request, Response>(
  mode: TracingMode,
  method: Method<Request, Response>,
): Method<Request, Response> {
  if (mode === 'off' || method.kind === 'unary') return method;
  if (method.kind === 'serverStream') {
    return {
      ...method,
      handle: (request, stream, call) => within(call, () => method.handle(request, stream, call)),
    };
  }
  return {
    ...method,
    open: (stream, call) => {
      const caller = callersContext(call);
      if (caller === undefined) return method.open(stream, call);
      const handlers = context.with(caller, () => method.open(stream, call));
      return {
        onMessage: (message) => context.with(caller, () => handlers.onMessage(message)),
        ...(handlers.onEnd === undefined ? {} : { onEnd: () => context.with(caller, () => handlers.onEnd?.()) }),
        onClose: (error) => context.with(caller, () => handlers.onClose?.(error)),
      };
    },
  };
}

function within<Result>(call: CallContext, work: () => Result): Result {
  const caller = callersContext(call);
  return caller === undefined ? work() : context.with(caller, work);
}

function callersContext({ metadata }: CallContext): Context | undefined {
  return hasSampledCaller(metadata) ? propagation.extract(ROOT_CONTEXT, metadata, metadataGetter) : undefined;
}
