/** Server spans: one per call, streams included, child of the caller's; handlers and stream events run within it. */
import { ServerInterceptingCall } from '@grpc/grpc-js';
import type { Metadata, ServerInterceptor } from '@grpc/grpc-js';
import { SpanKind, SpanStatusCode, context, propagation, trace } from '@opentelemetry/api';
import type { Context, Span, TextMapGetter } from '@opentelemetry/api';
import { rpcAttributes, spanName } from '../rpc-span.ts';

const getter: TextMapGetter<Metadata> = {
  get: (metadata, key) => {
    const value = metadata.get(key)[0];
    return typeof value === 'string' ? value : undefined;
  },
  keys: (metadata) => Object.keys(metadata.getMap()),
};

/** Install it only when tracing is on: it adds a layer around every message. */
export function tracingServerInterceptor(): ServerInterceptor {
  const tracer = trace.getTracer('partita-rpc');
  return ({ path }, call) => {
    let callContext: Context = context.active();
    let span: Span | undefined;
    const end = (code: number | undefined): void => {
      if (span === undefined) return;
      if (code !== undefined && span.isRecording()) {
        span.setAttribute('rpc.grpc.status_code', code);
        if (code !== 0) span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
      span = undefined;
    };
    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, forward) {
            const parent = propagation.extract(context.active(), metadata, getter);
            span = tracer.startSpan(spanName(path), { kind: SpanKind.SERVER, attributes: rpcAttributes(path) }, parent);
            callContext = trace.setSpan(parent, span);
            context.with(callContext, forward, undefined, metadata);
          },
          onReceiveMessage: (message, forward) => context.with(callContext, forward, undefined, message),
          onReceiveHalfClose: (forward) => context.with(callContext, forward),
          // Also comes after a status of ours; the span has ended by then.
          onCancel: () => end(undefined),
        });
      },
      sendStatus(status, forward) {
        end(status.code);
        forward(status);
      },
    });
  };
}
