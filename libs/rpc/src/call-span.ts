/**
 * The span of a unary call, by the semantic conventions for RPC. Streams have none: they carry the records of many traces
 * and outlive them, so that each frame or record brings its own context.
 */
import { SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, Span, SpanKind, TextMapGetter, TextMapSetter, Tracer } from '@opentelemetry/api';
import type { Metadata } from '@grpc/grpc-js';
import { spanTimeMs } from './span-time.ts';

export const metadataGetter: TextMapGetter<Metadata> = {
  get: textOf,
  keys: (metadata) => Object.keys(metadata.getMap()),
};
export const metadataSetter: TextMapSetter<Metadata> = { set: (metadata, key, value) => metadata.set(key, value) };

const TRACEPARENT_KEY = 'traceparent';
/** `00-<32 digits>-<16 digits>-01`: the last bit says that the caller's span is sampled. */
const SAMPLED_TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf]/;

/** Whether the metadata names a span that is sampled. One look-up for a call without a trace. */
export function hasSampledCaller(metadata: Metadata): boolean {
  const given = metadata.get(TRACEPARENT_KEY)[0];
  return typeof given === 'string' && SAMPLED_TRACEPARENT.test(given);
}

/** Whether the active span is sampled. */
export function isSampled(active: Context): boolean {
  return ((trace.getSpanContext(active)?.traceFlags ?? 0) & 1) === 1;
}

/** Begins the span of a call. `path` is `/partita.v1.TopicService/GetTopic`, the span's name without the slash. */
export function beginCallSpan(tracer: Tracer, kind: SpanKind, path: string, parent: Context): Span {
  const slash = path.lastIndexOf('/');
  const attributes = {
    'rpc.system': 'grpc',
    'rpc.service': path.slice(1, slash),
    'rpc.method': path.slice(slash + 1),
  };
  return tracer.startSpan(path.slice(1), { kind, attributes, startTime: spanTimeMs() }, parent);
}

/** Ends it with the status of the call. */
export function endCallSpan(span: Span, code: number, details?: string): void {
  if (span.isRecording()) {
    span.setAttribute('rpc.grpc.status_code', code);
    if (code !== 0) {
      span.setStatus({ code: SpanStatusCode.ERROR, ...(details === undefined ? {} : { message: details }) });
    }
  }
  span.end(spanTimeMs());
}

function textOf(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key)[0];
  return typeof value === 'string' ? value : undefined;
}
