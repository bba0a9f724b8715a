/** What the spans of a batch on a broker have in common. */
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Attributes, Context, Span } from '@opentelemetry/api';
import { spanTimeMs } from '@partita/rpc';

/** Where a batch belongs. */
export interface BatchPlace {
  readonly topic: string;
  readonly partition: number;
}

/** Why something came to no good: an ErrorReason where there is one. */
export interface SpanFault {
  readonly type: string;
  readonly message: string;
}

/** Begins a span now, or at a time on the monotonic clock. */
export function beginBatchSpan(
  operation: string,
  name: string,
  { topic, partition }: BatchPlace,
  parent: Context,
  more: { readonly attributes?: Attributes; readonly startMs?: number } = {},
): Span {
  const attributes = {
    'messaging.system': 'partita',
    'messaging.operation.name': operation,
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    ...more.attributes,
  };
  const startTime = spanTimeMs(more.startMs);
  return trace.getTracer('partita').startSpan(name, { kind: SpanKind.INTERNAL, attributes, startTime }, parent);
}

/** Ends a span now, or at a time on the monotonic clock. */
export function endBatchSpan(span: Span, fault: SpanFault | undefined, endMs?: number): void {
  if (fault !== undefined) {
    span.setAttribute('error.type', fault.type);
    span.setStatus({ code: SpanStatusCode.ERROR, message: fault.message });
  }
  span.end(spanTimeMs(endMs));
}
