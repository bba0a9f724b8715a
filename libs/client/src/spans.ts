/**
 * Spans of the SDK: `send <topic>` and `process <topic>`, by OpenTelemetry's conventions for messaging. The tracer is
 * undefined when tracing is off, and then none of this runs.
 */
import { context, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import type { Context, Link, Span, SpanContext, SpanOptions, Tracer, TracerProvider } from '@opentelemetry/api';
import { PartitaError, SPAN_LINK_COUNT_MAX } from '@partita/domain';
import { spanTimeMs } from '@partita/rpc';
import type { ReceivedRecord } from './record-form.ts';
import { contextOf, sampledParent, traceparentOf } from './trace-context.ts';

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

/** Records whose processing one span covers: of one partition, in order. */
export interface ProcessedRecords {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly ReceivedRecord[];
}

/** Begins the span of a record's processing, a child of the span that delivered it. */
export function processSpan(
  tracer: Tracer,
  group: string,
  record: ReceivedRecord,
): { readonly span: Span; readonly context: Context } {
  const attributes = { ...consumed('process', group, record), 'messaging.partita.offset': String(record.offset) };
  return begin(tracer, `process ${record.topic}`, { attributes }, contextOf(record.traceparent));
}

/** Begins the span of the processing of several records: below the first that is traced, linked to others that are. */
export function processBatchSpan(
  tracer: Tracer,
  group: string,
  batch: ProcessedRecords,
): { readonly span: Span; readonly context: Context } {
  let parent = '';
  const links: Link[] = [];
  for (const { traceparent } of batch.records) {
    const traced = sampledParent(traceparent);
    if (traced === undefined) continue;
    if (parent === '') parent = traceparent;
    else if (links.push({ context: traced }) === SPAN_LINK_COUNT_MAX) break;
  }
  const attributes = {
    ...consumed('process', group, batch),
    'messaging.batch.message_count': batch.records.length,
    'messaging.partita.offset': String(batch.records[0]?.offset ?? ''),
  };
  return begin(tracer, `process ${batch.topic}`, { attributes, links }, contextOf(parent));
}

/**
 * The span of a record that was read from its leader, from the arrival of its batch until it is handed out: child of the
 * span that sent it. Its traceparent, or the empty text when the record is not traced.
 */
export function receiveSpan(tracer: Tracer, group: string, record: ReceivedRecord, arrivedMs: number): string {
  if (sampledParent(record.traceparent) === undefined) return '';
  const attributes = { ...consumed('receive', group, record), 'messaging.partita.offset': String(record.offset) };
  const startTime = spanTimeMs(arrivedMs);
  const { span } = begin(tracer, `receive ${record.topic}`, { attributes, startTime }, contextOf(record.traceparent));
  const traceparent = traceparentOf(span);
  span.end(spanTimeMs());
  return traceparent;
}

function consumed(
  operation: 'process' | 'receive',
  group: string,
  { topic, partition }: { readonly topic: string; readonly partition: number },
): Record<string, string> {
  return {
    'messaging.system': 'partita',
    'messaging.operation.type': operation,
    'messaging.operation.name': operation,
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.consumer.group.name': group,
  };
}

function begin(
  tracer: Tracer,
  name: string,
  options: Omit<SpanOptions, 'kind'>,
  parent: Context,
): { readonly span: Span; readonly context: Context } {
  const span = tracer.startSpan(name, { startTime: spanTimeMs(), ...options, kind: SpanKind.CONSUMER }, parent);
  return { span, context: trace.setSpan(parent, span) };
}

/** Says on the span that what it covers has failed; `type` is the reason where the error has one. */
export function failSpan(span: Span, error: unknown, type = reasonOf(error)): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}

function reasonOf(error: unknown): string {
  if (error instanceof PartitaError) return error.reason;
  return error instanceof Error ? error.name : '_OTHER';
}

/** What of a span others may be put below: nothing, when it is not recorded. */
export function sampledContext(span: Span | undefined): SpanContext | undefined {
  const found = span?.spanContext();
  return found !== undefined && (found.traceFlags & TraceFlags.SAMPLED) !== 0 ? found : undefined;
}
