/** The `append <topic>` span: one per entry, in the trace of whoever sent the batch. Nothing per record. */
import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, Span } from '@opentelemetry/api';
import type { PartitaError } from '@partita/domain';
import type { AppendEntry } from '@partita/protocol';

export interface AppendedBatch {
  readonly topic: string;
  readonly partition: number;
  readonly recordCount: number;
}

/** Starts the span when the entry, or the call that brought it, belongs to a trace; undefined otherwise. */
export function startAppendSpan(entry: AppendEntry, batch: AppendedBatch): Span | undefined {
  const parent = parentOf(entry);
  if (parent === undefined) return undefined;
  const attributes = {
    'messaging.system': 'partita',
    'messaging.operation.name': 'append',
    'messaging.destination.name': batch.topic,
    'messaging.destination.partition.id': String(batch.partition),
    'messaging.batch.message_count': batch.recordCount,
  };
  return trace.getTracer('partita').startSpan(`append ${batch.topic}`, { kind: SpanKind.INTERNAL, attributes }, parent);
}

/** Ends the span with what became of the batch. */
export function endAppendSpan(span: Span, error: PartitaError | undefined, baseOffset: bigint | undefined): void {
  if (baseOffset !== undefined) span.setAttribute('messaging.partita.message.offset', Number(baseOffset));
  if (error !== undefined) {
    span.setAttribute('error.type', error.reason);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  }
  span.end();
}

/** A stream outlives the spans of its frames, so an entry's own context goes before that of the call. */
function parentOf(entry: AppendEntry): Context | undefined {
  if (entry.traceparent === '') {
    const active = context.active();
    return trace.getSpanContext(active) === undefined ? undefined : active;
  }
  const { traceparent, tracestate } = entry;
  const parent = propagation.extract(ROOT_CONTEXT, tracestate === '' ? { traceparent } : { traceparent, tracestate });
  return trace.getSpanContext(parent) === undefined ? undefined : parent;
}
