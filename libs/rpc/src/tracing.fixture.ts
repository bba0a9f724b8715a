/** As little of an OpenTelemetry SDK as shows how the API is used, and how often; @partita/runtime brings the real one. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { ROOT_CONTEXT, context, propagation, trace } from '@opentelemetry/api';
import type { Context, ContextManager, Span, SpanKind, SpanOptions, TextMapPropagator } from '@opentelemetry/api';

const TRACE_ID = '1'.repeat(32);

/** One span that was begun. */
export interface Recorded {
  readonly name: string;
  readonly kind: SpanKind | undefined;
  readonly id: string;
  readonly parent: string | undefined;
  readonly attributes: Record<string, unknown>;
  ended: boolean;
}

/** What the globals of the API were used for since `reset`. */
export class CountingTelemetry {
  readonly spans: Recorded[] = [];
  /** Calls of `context.with`. */
  withCount = 0;
  /** Calls of the propagator. */
  propagationCount = 0;

  install(): void {
    const storage = new AsyncLocalStorage<Context>();
    const manager: ContextManager = {
      active: () => storage.getStore() ?? ROOT_CONTEXT,
      with: (active, work, self, ...args) => {
        this.withCount += 1;
        return storage.run(active, () => work.apply(self, args) as never);
      },
      bind: (_active, target) => target,
      enable: () => manager,
      disable: () => manager,
    };
    const propagator: TextMapPropagator = {
      fields: () => ['traceparent'],
      inject: (active, carrier, setter) => {
        this.propagationCount += 1;
        setter.set(carrier, 'traceparent', traceparent(trace.getSpanContext(active)?.spanId ?? ''));
      },
      extract: (active, carrier, getter) => {
        this.propagationCount += 1;
        const [, traceId = '', spanId = '', flags] = String(getter.get(carrier, 'traceparent')).split('-');
        return trace.setSpanContext(active, { traceId, spanId, traceFlags: Number(flags), isRemote: true });
      },
    };
    context.setGlobalContextManager(manager);
    trace.setGlobalTracerProvider({
      getTracer: () => ({
        startSpan: (name, options, active) => this.#begin(name, options, active),
        startActiveSpan: undefined as never,
      }),
    });
    propagation.setGlobalPropagator(propagator);
  }

  reset(): void {
    this.spans.length = 0;
    this.withCount = 0;
    this.propagationCount = 0;
  }

  uninstall(): void {
    context.disable();
    trace.disable();
    propagation.disable();
  }

  #begin(name: string, options: SpanOptions = {}, active = context.active()): Span {
    const parent = trace.getSpanContext(active)?.spanId;
    const id = (this.spans.length + 1).toString(16).padStart(16, '0');
    const attributes: Record<string, unknown> = { ...options.attributes };
    const record: Recorded = { name, kind: options.kind, id, parent, attributes, ended: false };
    this.spans.push(record);
    return {
      spanContext: () => ({ traceId: TRACE_ID, spanId: id, traceFlags: 1 }),
      isRecording: () => true,
      setAttribute: (key: string, value: unknown) => void (attributes[key] = value),
      setStatus: () => {},
      end: () => void (record.ended = true),
    } as never;
  }
}

/** Metadata's `traceparent` of a span. */
export function traceparent(spanId: string, isSampled = true): string {
  return `00-${TRACE_ID}-${spanId.padStart(16, '0')}-0${isSampled ? 1 : 0}`;
}
