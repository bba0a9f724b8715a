/**
 * An OpenTelemetry provider that keeps its spans in a list, and a context manager that follows awaits: the API's own
 * interfaces, no SDK. Every span is sampled; one whose parent is not recorded is its child all the same.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { context, ROOT_CONTEXT, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import type {
  Context,
  ContextManager,
  Link,
  Span,
  SpanContext,
  SpanOptions,
  SpanStatus,
  TimeInput,
  Tracer,
} from '@opentelemetry/api';

/** A span as it was begun, and what became of it. */
export class RecordedSpan implements Span {
  readonly name: string;
  readonly kind: SpanKind;
  readonly parent: SpanContext | undefined;
  readonly attributes: Record<string, unknown>;
  readonly links: SpanContext[];
  readonly startTime: TimeInput | undefined;
  endTime: TimeInput | undefined;
  status: SpanStatus | undefined;
  ended = false;
  readonly #context: SpanContext;

  constructor(name: string, options: SpanOptions, parent: SpanContext | undefined, number: number) {
    const spanId = number.toString(16).padStart(16, '0');
    this.name = name;
    this.kind = options.kind ?? SpanKind.INTERNAL;
    this.parent = parent;
    this.attributes = { ...options.attributes };
    this.links = (options.links ?? []).map((link) => link.context);
    this.startTime = options.startTime;
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

  addLink(link: Link): this {
    this.links.push(link.context);
    return this;
  }

  addLinks(links: readonly Link[]): this {
    for (const link of links) this.addLink(link);
    return this;
  }

  updateName(): this {
    return this;
  }

  isRecording(): boolean {
    return !this.ended;
  }

  recordException(): void {}

  end(endTime?: TimeInput): void {
    if (this.ended) throw new Error(`the span "${this.name}" was ended twice`);
    this.endTime = endTime;
    this.ended = true;
  }
}

/** The provider, and what was begun with it. Register it for a file, and take it away after. */
export class SpanRecorder {
  readonly spans: RecordedSpan[] = [];
  #count = 0;

  register(): void {
    const startSpan = (name: string, options: SpanOptions = {}, below: Context = context.active()): RecordedSpan => {
      this.#count += 1;
      const parent = options.root === true ? undefined : trace.getSpanContext(below);
      const span = new RecordedSpan(name, options, parent, this.#count);
      this.spans.push(span);
      return span;
    };
    const startActiveSpan = (): never => {
      throw new Error('not in use: spans are made active by context.with');
    };
    const tracer: Tracer = { startSpan, startActiveSpan };
    trace.setGlobalTracerProvider({ getTracer: () => tracer });
    context.setGlobalContextManager(new Contexts());
  }

  unregister(): void {
    trace.disable();
    context.disable();
  }

  /** The spans of a name, oldest first. */
  named(name: string): RecordedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  /** Names of the spans that were not ended. */
  get open(): string[] {
    return this.spans.filter(({ ended }) => !ended).map(({ name }) => name);
  }

  clear(): void {
    this.spans.length = 0;
  }
}

class Contexts implements ContextManager {
  readonly #active = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#active.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    work: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#active.run(active, () => work.apply(self, args));
  }

  bind<T>(active: Context, target: T): T {
    if (typeof target !== 'function') return target;
    const bound = (...args: unknown[]): unknown =>
      this.#active.run(active, () => Reflect.apply(target, undefined, args) as unknown);
    return bound as T;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}
