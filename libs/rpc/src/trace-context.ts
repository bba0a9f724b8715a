/**
 * W3C trace context as text, for places where no metadata travels: a frame of a long stream and a stored record
 * (https://www.w3.org/TR/trace-context/). Cost without tracing: one comparison.
 */
import { context as contexts, isSpanContextValid, ROOT_CONTEXT, trace, TraceFlags } from '@opentelemetry/api';
import type { Context, Span, SpanContext } from '@opentelemetry/api';

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** `traceparent` of a span that is recorded, or the empty text. */
export function traceparentOf(span: Span | undefined): string {
  if (span?.isRecording() !== true) return '';
  const context = span.spanContext();
  return `00-${context.traceId}-${context.spanId}-0${context.traceFlags & TraceFlags.SAMPLED}`;
}

/** The span context in a traceparent that is sampled; undefined for none, garbage, or one that is not sampled. */
export function sampledParent(traceparent: string): SpanContext | undefined {
  if (traceparent === '') return undefined;
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return context.traceFlags === TraceFlags.SAMPLED && isSpanContextValid(context) ? context : undefined;
}

/** The active span when it is sampled, whoever's it is. */
export function activeParent(): SpanContext | undefined {
  const active = trace.getSpanContext(contexts.active());
  return active !== undefined && (active.traceFlags & TraceFlags.SAMPLED) !== 0 ? active : undefined;
}

/** A context whose active span is the remote parent; the root context when there is none. */
export function contextOf(traceparent: string): Context {
  const parent = sampledParent(traceparent);
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
}
