/**
 * Operations as traces of their own: what a service does without being called, such as an election. Their spans carry the
 * attribute `partita.operation`, by which the sampler of a service records them whatever it does with calls
 * (libs/runtime, operation-sampler.ts). With tracing off, and beyond the limit of the sampler, there is no span.
 */
import { ROOT_CONTEXT, SpanStatusCode, context, trace } from '@opentelemetry/api';
import type { AnyValue, Attributes, Context, Span, SpanKind } from '@opentelemetry/api';
import { PartitaError } from '@partita/domain';
import { isSampled } from './call-span.ts';
import { spanTimeMs } from './span-time.ts';
import type { TracingMode } from './tracing-mode.ts';

export type OperationKind = 'elect' | 'rebalance' | 'recover_group_shard' | 'recover_broker' | 'catch_up';

export interface OperationOptions {
  readonly attributes?: Attributes;
  readonly kind?: SpanKind;
  /** When it began, by performance.now(); default now. */
  readonly startMs?: number;
}

/** A span of an operation. End it on every path. */
export interface Operation {
  /** False = nothing is recorded: what costs something to describe need not be. */
  readonly isRecorded: boolean;
  /** Does the work inside the span: calls carry its context, and log lines its trace. */
  within<Result>(work: () => Result): Result;
  /** Begins a part of it. */
  begin(name: string, options?: OperationOptions): Operation;
  /** Does the work in a part of it, which is an error when the work throws. */
  part<Result>(
    name: string,
    attributes: Attributes,
    work: (part: Operation) => Promise<Result>,
    kind?: SpanKind,
  ): Promise<Result>;
  set(name: string, value: AnyValue): void;
  /** Says that it did not come to what it should. */
  fail(error: unknown): void;
  /** Again without effect. */
  end(): void;
}

/** An operation of which nothing is recorded. */
export const UNTRACED: Operation = {
  isRecorded: false,
  within: (work) => work(),
  begin: () => UNTRACED,
  part: (_name, _attributes, work) => work(UNTRACED),
  set: () => undefined,
  fail: () => undefined,
  end: () => undefined,
};

const TEXTS_CHARS_MAX = 255;
const TEXTS_COUNT_MAX = 16;

/** Begins an operation. It is a trace of its own, unless `isCalled` and a sampled caller waits for it. */
export function beginOperation(
  mode: TracingMode,
  kind: OperationKind,
  name: string,
  options: OperationOptions & { readonly isCalled?: boolean } = {},
): Operation {
  if (mode === 'off') return UNTRACED;
  const active = context.active();
  return begin(options.isCalled === true && isSampled(active) ? active : ROOT_CONTEXT, kind, name, options);
}

/** Does this service's part of an operation that another one called for; without a sampled caller it just does it. */
export function inCalledPart<Result>(
  kind: OperationKind,
  name: string,
  attributes: Attributes,
  work: (part: Operation) => Promise<Result>,
): Promise<Result> {
  const active = context.active();
  if (!isSampled(active)) return work(UNTRACED);
  return inPart(begin(active, kind, name, { attributes }), work);
}

/** Names for an attribute: the first of them, not too long. */
export function boundedNames(names: Iterable<string>): string[] {
  const kept: string[] = [];
  for (const name of names) {
    if (kept.length === TEXTS_COUNT_MAX) break;
    kept.push(name.slice(0, TEXTS_CHARS_MAX));
  }
  return kept;
}

class RecordedOperation implements Operation {
  readonly isRecorded = true;
  readonly #kind: OperationKind;
  readonly #span: Span;
  readonly #context: Context;
  #isOpen = true;

  constructor(kind: OperationKind, span: Span, parent: Context) {
    this.#kind = kind;
    this.#span = span;
    this.#context = trace.setSpan(parent, span);
  }

  within<Result>(work: () => Result): Result {
    return context.with(this.#context, work);
  }

  begin(name: string, options: OperationOptions = {}): Operation {
    return begin(this.#context, this.#kind, name, options);
  }

  part<Result>(
    name: string,
    attributes: Attributes,
    work: (part: Operation) => Promise<Result>,
    kind?: SpanKind,
  ): Promise<Result> {
    return inPart(this.begin(name, { attributes, ...(kind === undefined ? {} : { kind }) }), work);
  }

  set(name: string, value: AnyValue): void {
    this.#span.setAttribute(name, value);
  }

  fail(error: unknown): void {
    const type = error instanceof PartitaError ? error.reason : '_OTHER';
    const message = error instanceof Error ? error.message : String(error);
    this.#span.setAttribute('error.type', type);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#span.end(spanTimeMs());
  }
}

function begin(
  parent: Context,
  operation: OperationKind,
  name: string,
  { attributes, kind, startMs }: OperationOptions,
): Operation {
  const options = {
    attributes: { ...attributes, 'partita.operation': operation },
    startTime: spanTimeMs(startMs),
    ...(kind === undefined ? {} : { kind }),
  };
  const span = trace.getTracer('partita').startSpan(name, options, parent);
  return span.isRecording() ? new RecordedOperation(operation, span, parent) : UNTRACED;
}

async function inPart<Result>(part: Operation, work: (part: Operation) => Promise<Result>): Promise<Result> {
  try {
    return await part.within(() => work(part));
  } catch (error) {
    part.fail(error);
    throw error;
  } finally {
    part.end();
  }
}
