/**
 * Traces of calls that go out: a unary call has a span and carries its W3C context in the metadata. Streams have neither:
 * what they are opened for ends before them.
 */
import { connectivityState } from '@grpc/grpc-js';
import type { CallProperties } from '@grpc/grpc-js';
import { SpanKind, context, propagation, trace } from '@opentelemetry/api';
import { beginCallSpan, endCallSpan, isSampled, metadataSetter } from '../call-span.ts';
import type { TracingMode } from '../tracing-mode.ts';

/** What a client does to each call before it begins. */
export type CallTransformer = (properties: CallProperties<unknown, unknown>) => CallProperties<unknown, unknown>;

/** The transformer with a span for each traced unary call; the same transformer with tracing off. */
export function traceCalls(mode: TracingMode, transform: CallTransformer): CallTransformer {
  if (mode === 'off') return transform;
  const tracer = trace.getTracer('partita-rpc');
  return (given) => {
    const properties = transform(given);
    const { callback, channel, metadata, methodDefinition } = properties;
    if (callback === undefined) return properties;
    const active = context.active();
    if (mode === 'follow' && !isSampled(active)) return properties;
    // grpc-js throws then, before it would ever call back.
    if (channel.getConnectivityState(false) === connectivityState.SHUTDOWN) return properties;
    const span = beginCallSpan(tracer, SpanKind.CLIENT, methodDefinition.path, active);
    propagation.inject(trace.setSpan(active, span), metadata, metadataSetter);
    return {
      ...properties,
      callback: (error, response) => {
        endCallSpan(span, error === null ? 0 : error.code, error?.details);
        callback(error, response);
      },
    };
  };
}
