import { context, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import type { Span, SpanContext } from '@opentelemetry/api';
import type { CallContext } from '@partita/rpc/server';

/** The span of one Produce request or frame: child of the client's span, else of the call's. Free when tracing is off. */
export function publishSpan(
  topic: string,
  recordCount: number,
  parent: SpanContext | undefined,
  call: CallContext,
): Span {
  const base = parent === undefined ? context.active() : trace.setSpanContext(ROOT_CONTEXT, parent);
  const span = trace.getTracer('partita').startSpan(`publish ${topic}`, { kind: SpanKind.INTERNAL }, base);
  if (span.isRecording()) {
    span.setAttributes({
      'messaging.system': 'partita',
      'messaging.operation.name': 'publish',
      'messaging.destination.name': topic,
      'messaging.batch.message_count': recordCount,
      'messaging.client.id': call.clientId,
    });
  }
  return span;
}
