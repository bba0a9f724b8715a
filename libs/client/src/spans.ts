/**
 * Spans of the SDK: `send <topic>` and `process <topic>`, by OpenTelemetry's conventions for messaging. The tracer is
 * undefined when tracing is off, and then none of this runs.
 */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, Span, Tracer, TracerProvider } from '@opentelemetry/api';
import { spanTimeMs } from '@partita/rpc';
import type { ReceivedRecord } from './record-form.ts';
import { contextOf } from './trace-context.ts';

const TRACER_NAME = 'partita';

type MaybeProxy = TracerProvider & { getDelegateTracer?(name: string): Tracer | undefined };

/** The tracer, when the process has set tracing up. */
export function activeTracer(): Tracer | undefined {
  // Until a provider is registered the API hands out a proxy without a delegate, whose spans are of no use to anybody.
  const provider: MaybeProxy = trace.getTracerProvider();
  if (provider.getDelegateTracer !== undefined && provider.getDelegateTracer(TRACER_NAME) === undefined)
    return undefined;
  return trace.getTracer(TRACER_NAME);
}

/** Begins the span of a `send` call, a child of the caller's active span. */
export function sendSpan(tracer: Tracer, topic: string, recordCount: number): Span {
  return tracer.startSpan(
    `send ${topic}`,
    {
      kind: SpanKind.PRODUCER,
      startTime: spanTimeMs(),
      attributes: {
        'messaging.system': 'partita',
        'messaging.operation.type': 'send',
        'messaging.operation.name': 'send',
        'messaging.destination.name': topic,
        ...(recordCount > 1 ? { 'messaging.batch.message_count': recordCount } : {}),
      },
    },
    context.active(),
  );
}

/** Begins the span of a record's processing, a child of the span that sent it. */
export function processSpan(
  tracer: Tracer,
  group: string,
  record: ReceivedRecord,
): { readonly span: Span; readonly context: Context } {
  const parent = contextOf(record.traceparent);
  const span = tracer.startSpan(
    `process ${record.topic}`,
    {
      kind: SpanKind.CONSUMER,
      attributes: {
        'messaging.system': 'partita',
        'messaging.operation.type': 'process',
        'messaging.operation.name': 'process',
        'messaging.destination.name': record.topic,
        'messaging.destination.partition.id': String(record.partition),
        'messaging.consumer.group.name': group,
        'messaging.partita.offset': String(record.offset),
      },
    },
    parent,
  );
  return { span, context: trace.setSpan(parent, span) };
}

export function failSpan(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}
