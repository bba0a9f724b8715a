/**
 * The span of one Produce request or batch frame, `publish <topic>`, and what it is spent on: `route`, `validate`, `batch
 * wait`; the attempts to append stand beside those. Only for requests in a sampled trace.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, Span, SpanContext } from '@opentelemetry/api';
import { activeParent, linksTo, sampledParent, traceparentOf } from '@partita/client';
import { asPartitaError, SPAN_LINK_COUNT_MAX } from '@partita/domain';
import type { ProduceRequest } from '@partita/protocol';
import { spanTimeMs } from '@partita/rpc';
import type { TracingMode } from '@partita/rpc';
import type { CallContext } from '@partita/rpc/server';

export interface Published {
  readonly topic: string;
  readonly recordCount: number;
  /** Of other spans that share the frame. */
  readonly linked: readonly string[];
}

export interface PublishTracing {
  readonly mode: TracingMode;
  /** The sampled span of the call or stream: parent of what brings none of its own. */
  readonly caller: SpanContext | undefined;
}

/** Ask when a call or stream begins. */
export function publishTracing(mode: TracingMode): PublishTracing {
  return { mode, caller: mode === 'off' ? undefined : activeParent() };
}

/** A frame of records as it is traced: sends that share it are known by their records. */
export function publishedRecords({ topic, records }: ProduceRequest, traceparent: string): Published {
  const linked = new Set<string>();
  for (const record of records) {
    if (record.traceparent === '' || record.traceparent === traceparent) continue;
    linked.add(record.traceparent);
    if (linked.size === SPAN_LINK_COUNT_MAX) break;
  }
  return { topic, recordCount: records.length, linked: [...linked] };
}

/** The parent of a request's span; undefined when nobody traces it. `roots`: no parent, and yet a span. */
export function publishParent({ mode, caller }: PublishTracing, traceparent: string): SpanContext | 'none' | undefined {
  if (mode === 'off') return undefined;
  const parent = (traceparent === '' ? undefined : sampledParent(traceparent)) ?? caller;
  return parent ?? (mode === 'roots' ? 'none' : undefined);
}

/** Records of a traced request that wait for their batches. */
interface WaitingRecords {
  readonly told: {
    readonly traceparent: string;
    /** Those below the index are on their way. */
    readonly onLeaving: (toIndex: number) => void;
    /** A batch with some of them stands below the span of another request. */
    readonly onShared: (traceparent: string) => void;
  };
  readonly end: (error?: unknown) => void;
}

export class PublishTrace {
  /** Of the span, for what is below it. */
  readonly traceparent: string;
  readonly #span: Span;
  readonly #context: Context;

  private constructor(span: Span) {
    this.#span = span;
    this.#context = trace.setSpan(ROOT_CONTEXT, span);
    this.traceparent = traceparentOf(span);
  }

  /** Begins the span; undefined when the sampler will not have it. */
  static begin(parent: SpanContext | 'none', published: Published, call: CallContext): PublishTrace | undefined {
    const { topic, recordCount, linked } = published;
    const base = parent === 'none' ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    const options = { kind: SpanKind.INTERNAL, links: linksTo(linked), startTime: spanTimeMs() };
    const span = trace.getTracer('partita').startSpan(`publish ${topic}`, options, base);
    if (!span.isRecording()) return undefined;
    span.setAttributes({
      'messaging.system': 'partita',
      'messaging.operation.name': 'publish',
      'messaging.destination.name': topic,
      ...(recordCount > 0 ? { 'messaging.batch.message_count': recordCount } : {}),
      'messaging.client.id': call.clientId,
    });
    return new PublishTrace(span);
  }

  /** A part of the time that is over, from `startMs` on the monotonic clock until now. */
  spent(
    what: 'route' | 'validate' | 'throttle' | 'batch wait',
    startMs: number,
    partition?: number,
    error?: unknown,
  ): void {
    const attributes = partition === undefined ? {} : { 'messaging.destination.partition.id': String(partition) };
    const span = trace
      .getTracer('partita')
      .startSpan(what, { kind: SpanKind.INTERNAL, attributes, startTime: spanTimeMs(startMs) }, this.#context);
    if (error !== undefined) fail(span, error);
    span.end(spanTimeMs());
  }

  /** From now until called again, once: how long a batch's records wait for it to be sent. */
  beginWait(partition: number): (error?: unknown) => void {
    const startMs = performance.now();
    let isOpen = true;
    return (error) => {
      if (isOpen) this.spent('batch wait', startMs, partition, error);
      isOpen = false;
    };
  }

  /** The records for one partition begin to wait for their batches: what these tell, and the end of it all. */
  waiting(partition: number, recordCount: number): WaitingRecords {
    const end = this.beginWait(partition);
    const told = {
      traceparent: this.traceparent,
      onLeaving: (toIndex: number) => {
        if (toIndex === recordCount) end();
      },
      onShared: (traceparent: string) => void this.#span.addLinks(linksTo([traceparent])),
    };
    return { told, end };
  }

  end(error?: unknown): void {
    if (error !== undefined) fail(this.#span, error);
    this.#span.end(spanTimeMs());
  }
}

function fail(span: Span, error: unknown): void {
  const { reason, message } = asPartitaError(error);
  span.setAttribute('error.type', reason);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}
