/**
 * The newest traces in memory, bounded in traces and spans. Spans come in any order and in several exports; a trace is
 * whatever has come of it so far.
 */
import { TRACE_COUNT_MAX, TRACE_SPAN_COUNT_MAX, TRACE_SPANS_KEPT_COUNT_MAX } from '@partita/domain';
import type { Span } from '../otlp/span.ts';

/** A trace in one line. */
export interface TraceHead {
  readonly traceId: string;
  readonly rootName: string;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly spanCount: number;
  readonly services: readonly string[];
  readonly error: boolean;
}

/** Which traces. */
export interface TraceFilter {
  /** Empty = any. */
  readonly service: string;
  readonly errorsOnly: boolean;
  readonly durationNanosMin: bigint;
}

export interface TraceBounds {
  readonly traceCountMax: number;
  readonly spanCountMax: number;
  readonly spansKeptCountMax: number;
}

const BOUNDS: TraceBounds = {
  traceCountMax: TRACE_COUNT_MAX,
  spanCountMax: TRACE_SPAN_COUNT_MAX,
  spansKeptCountMax: TRACE_SPANS_KEPT_COUNT_MAX,
};

export class TraceStore {
  readonly #bounds: TraceBounds;
  /** By id, in the order in which their first spans came; the spans by their ids, so that a repeated export adds nothing. */
  readonly #traces = new Map<string, Map<string, Span>>();
  #spanCount = 0;

  constructor(bounds: TraceBounds = BOUNDS) {
    this.#bounds = bounds;
  }

  /** Adds spans, and forgets the oldest traces as far as the bounds ask. Returns how many spans were left out. */
  add(spans: readonly Span[]): number {
    let leftOut = 0;
    for (const span of spans) if (!this.#addSpan(span)) leftOut += 1;
    const { traceCountMax, spansKeptCountMax } = this.#bounds;
    for (const [traceId, kept] of this.#traces) {
      if (this.#traces.size <= traceCountMax && this.#spanCount <= spansKeptCountMax) break;
      this.#traces.delete(traceId);
      this.#spanCount -= kept.size;
    }
    return leftOut;
  }

  /** Heads that fit, newest first; of those that began at once the greater id first. */
  list(filter: TraceFilter): TraceHead[] {
    const heads = [...this.#traces.keys()].flatMap((traceId) => this.head(traceId) ?? []);
    return heads.filter((head) => fits(head, filter)).sort(newestFirst);
  }

  /** Full ids that begin with `prefix`. */
  idsBeginningWith(prefix: string): string[] {
    return [...this.#traces.keys()].filter((traceId) => traceId.startsWith(prefix));
  }

  /** Of a full id; undefined = unknown. */
  head(traceId: string): TraceHead | undefined {
    const spans = this.#traces.get(traceId);
    return spans === undefined ? undefined : headOf(traceId, [...spans.values()]);
  }

  /** Spans of a full id by their start, parents before their children. */
  spans(traceId: string): Span[] {
    return parentsFirst([...(this.#traces.get(traceId)?.values() ?? [])]);
  }

  #addSpan(span: Span): boolean {
    let kept = this.#traces.get(span.traceId);
    if (kept === undefined) this.#traces.set(span.traceId, (kept = new Map<string, Span>()));
    if (kept.has(span.spanId)) return true;
    if (kept.size >= this.#bounds.spanCountMax) return false;
    kept.set(span.spanId, span);
    this.#spanCount += 1;
    return true;
  }
}

function fits(head: TraceHead, { service, errorsOnly, durationNanosMin }: TraceFilter): boolean {
  if (errorsOnly && !head.error) return false;
  if (head.endNanos - head.startNanos < durationNanosMin) return false;
  return service === '' || head.services.includes(service);
}

/** The order of `list`. */
export function newestFirst(
  left: Pick<TraceHead, 'startNanos' | 'traceId'>,
  right: Pick<TraceHead, 'startNanos' | 'traceId'>,
): number {
  if (left.startNanos !== right.startNanos) return left.startNanos < right.startNanos ? 1 : -1;
  if (left.traceId === right.traceId) return 0;
  return left.traceId < right.traceId ? 1 : -1;
}

function headOf(traceId: string, spans: readonly Span[]): TraceHead {
  const byStart = [...spans].sort(startOrder);
  const root = byStart.find(({ parentSpanId }) => parentSpanId === '') ?? byStart[0];
  return {
    traceId,
    rootName: root?.name ?? '',
    startNanos: byStart[0]?.startNanos ?? 0n,
    endNanos: spans.reduce((latest, { endNanos }) => (endNanos > latest ? endNanos : latest), 0n),
    spanCount: spans.length,
    services: [...new Set(byStart.map(({ service }) => service))].filter((service) => service !== ''),
    error: spans.some(({ error }) => error !== undefined),
  };
}

function startOrder(left: Span, right: Span): number {
  if (left.startNanos !== right.startNanos) return left.startNanos < right.startNanos ? -1 : 1;
  return 0;
}

/** Level by level from the spans without a known parent; what is only reachable through itself comes last. */
function parentsFirst(spans: Span[]): Span[] {
  const byStart = spans.sort(startOrder);
  const children = new Map<string, Span[]>(byStart.map(({ spanId }) => [spanId, []]));
  const ordered = new Set<Span>();
  for (const span of byStart) {
    const siblings = children.get(span.parentSpanId);
    if (siblings === undefined) ordered.add(span);
    else siblings.push(span);
  }
  // A Set that grows while it is walked hands out what was added too.
  for (const { spanId } of ordered) for (const child of children.get(spanId) ?? []) ordered.add(child);
  for (const span of byStart) ordered.add(span);
  return [...ordered];
}
