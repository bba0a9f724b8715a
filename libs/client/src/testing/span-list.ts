/** An OpenTelemetry provider that keeps its spans in a list: the API's own interfaces, no SDK. */
import { context, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import type { Context, Span, SpanContext, SpanOptions, SpanStatus, TracerProvider } from '@opentelemetry/api';

export class ListedSpan implements Span {
  readonly name: string;
  readonly kind: SpanKind;
  readonly parent: SpanContext | undefined;
  readonly attributes: Record<string, unknown>;
  status: SpanStatus | undefined;
  ended = false;
  readonly #context: SpanContext;

  constructor(name: string, options: SpanOptions, parent: SpanContext | undefined, spanId: string) {
    this.name = name;
    this.kind = options.kind ?? SpanKind.INTERNAL;
    this.parent = parent;
    this.attributes = { ...options.attributes };
    this.#context = { traceId: parent?.traceId ?? `${spanId}${spanId}`, spanId, traceFlags: TraceFlags.SAMPLED };
  }

  spanContext(): SpanContext {
    return this.#context;
  }

  setAttribute(name: string, value: unknown): this {
    this.attributes[name] = value;
    return this;
  }

  setAttributes(attributes: Record<string, unknown>): this {
    Object.assign(this.attributes, attributes);
    return this;
  }

  setStatus(status: SpanStatus): this {
    this.status = status;
    return this;
  }

  addEvent(): this {
    return this;
  }

  addLink(): this {
    return this;
  }

  addLinks(): this {
    return this;
  }

  updateName(): this {
    return this;
  }

  isRecording(): boolean {
    return !this.ended;
  }

  recordException(): void {}

  end(): void {
    this.ended = true;
  }
}

/** A provider and the spans that were begun with it. */
export function listSpans(): { provider: TracerProvider; spans: ListedSpan[] } {
  const spans: ListedSpan[] = [];
  const startSpan = (name: string, options: SpanOptions = {}, parent: Context = context.active()): Span => {
    const span = new ListedSpan(
      name,
      options,
      trace.getSpanContext(parent),
      String(spans.length + 1).padStart(16, '0'),
    );
    spans.push(span);
    return span;
  };
  const startActiveSpan = (): never => {
    throw new Error('not used by the SDK');
  };
  return { provider: { getTracer: () => ({ startSpan, startActiveSpan }) }, spans };
}
