/**
 * The newest traces in memory, bounded in traces, spans and bytes. Spans come in any order and in several exports; a trace is
 * whatever has come of it so far.
 */
import {
  TRACE_COUNT_MAX,
  TRACE_SPAN_COUNT_MAX,
  TRACE_SPANS_BYTES_MAX,
  TRACE_SPANS_KEPT_BYTES_MAX,
  TRACE_SPANS_KEPT_COUNT_MAX,
} from '@partita/domain';
import type { Attribute, Span } from '../otlp/span.ts';

/** A trace in one line. */
export interface TraceHead {
  readonly traceId: string;
  readonly rootName: string;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly spanCount: number;
  readonly services: readonly string[];
  /** Topics that its spans name. */
  readonly topics: readonly string[];
  readonly error: boolean;
  /** True = a service began it by itself. */
  readonly isOperation: boolean;
  /** Spans that were left out beyond the bounds. */
  readonly droppedSpanCount: number;
}

/** Which traces. */
export interface TraceFilter {
  /** Empty = any. */
  readonly service: string;
  /** Empty = any. */
  readonly topic: string;
  readonly errorsOnly: boolean;
  readonly durationNanosMin: bigint;
  /** Undefined = however old. */
  readonly begunFromNanos: bigint | undefined;
  /** Undefined = however new. */
  readonly begunBeforeNanos: bigint | undefined;
  /** Undefined = begun by anybody; true = by a service itself. */
  readonly isOperation: boolean | undefined;
}

export interface TraceBounds {
  readonly traceCountMax: number;
  /** Of one trace. */
  readonly spanCountMax: number;
  readonly spansBytesMax: number;
  /** Of all traces. */
  readonly spansKeptCountMax: number;
  readonly spansKeptBytesMax: number;
}

const BOUNDS: TraceBounds = {
  traceCountMax: TRACE_COUNT_MAX,
  spanCountMax: TRACE_SPAN_COUNT_MAX,
  spansBytesMax: TRACE_SPANS_BYTES_MAX,
  spansKeptCountMax: TRACE_SPANS_KEPT_COUNT_MAX,
  spansKeptBytesMax: TRACE_SPANS_KEPT_BYTES_MAX,
};

/** What a span's ids, times, counts and tags take in a message. */
const SPAN_BYTES_MIN = 120;
const PAIR_BYTES_MIN = 8;
const EVENT_BYTES_MIN = 24;
const TOPIC_ATTRIBUTE = 'messaging.destination.name';
const OPERATION_ATTRIBUTE = 'partita.operation';

interface KeptTrace {
  /** By their ids, so that a repeated export adds nothing. */
  readonly spans: Map<string, Span>;
  bytes: number;
  droppedSpanCount: number;
  /** Undefined = spans came since it was made. */
  head: TraceHead | undefined;
}

export class TraceStore {
  readonly #bounds: TraceBounds;
  /** By id, in the order in which their first spans came. */
  readonly #traces = new Map<string, KeptTrace>();
  #spanCount = 0;
  #keptCount = 0;
  #leftOutCount = 0;
  #bytes = 0;

  constructor(bounds: TraceBounds = BOUNDS) {
    this.#bounds = bounds;
  }

  /** Adds spans, and forgets the oldest traces as far as the bounds ask. Returns how many spans were left out. */
  add(spans: readonly Span[]): number {
    let leftOut = 0;
    for (const span of spans) if (!this.#addSpan(span)) leftOut += 1;
    this.#leftOutCount += leftOut;
    this.#keptCount += spans.length - leftOut;
    for (const [traceId, kept] of this.#traces) {
      if (this.#fits()) break;
      this.#traces.delete(traceId);
      this.#spanCount -= kept.spans.size;
      this.#bytes -= kept.bytes;
    }
    return leftOut;
  }

  get traceCount(): number {
    return this.#traces.size;
  }

  /** Spans since the start, whatever was forgotten later: taken in, and left out of a trace that has too many. */
  get spansTaken(): { readonly kept: number; readonly leftOut: number } {
    return { kept: this.#keptCount, leftOut: this.#leftOutCount };
  }

  /** Heads that fit, in the order in which their first spans came. */
  list(filter: TraceFilter): TraceHead[] {
    const heads = [...this.#traces.keys()].flatMap((traceId) => this.head(traceId) ?? []);
    return heads.filter((head) => fits(head, filter));
  }

  /** Full ids that begin with `prefix`. */
  idsBeginningWith(prefix: string): string[] {
    return [...this.#traces.keys()].filter((traceId) => traceId.startsWith(prefix));
  }

  /** Of a full id; undefined = unknown. */
  head(traceId: string): TraceHead | undefined {
    const kept = this.#traces.get(traceId);
    if (kept === undefined) return undefined;
    return (kept.head ??= headOf(traceId, [...kept.spans.values()], kept.droppedSpanCount));
  }

  /** Spans of a full id by their start, parents before their children. */
  spans(traceId: string): Span[] {
    return parentsFirst([...(this.#traces.get(traceId)?.spans.values() ?? [])]);
  }

  #fits(): boolean {
    const { traceCountMax, spansKeptCountMax, spansKeptBytesMax } = this.#bounds;
    return (
      this.#traces.size <= traceCountMax && this.#spanCount <= spansKeptCountMax && this.#bytes <= spansKeptBytesMax
    );
  }

  #addSpan(span: Span): boolean {
    let kept = this.#traces.get(span.traceId);
    if (kept === undefined) {
      kept = { spans: new Map<string, Span>(), bytes: 0, droppedSpanCount: 0, head: undefined };
      this.#traces.set(span.traceId, kept);
    }
    if (kept.spans.has(span.spanId)) return true;
    kept.head = undefined;
    const bytes = bytesOf(span);
    if (kept.spans.size >= this.#bounds.spanCountMax || kept.bytes + bytes > this.#bounds.spansBytesMax) {
      kept.droppedSpanCount += 1;
      return false;
    }
    kept.spans.set(span.spanId, span);
    kept.bytes += bytes;
    this.#spanCount += 1;
    this.#bytes += bytes;
    return true;
  }
}

/** About what it takes in a message. */
function bytesOf({ name, service, instance, error = '', attributes, events, links }: Span): number {
  let bytes = SPAN_BYTES_MIN + textBytes(name) + textBytes(service) + textBytes(instance) + textBytes(error);
  for (const text of links) bytes += PAIR_BYTES_MIN + text.length;
  for (const event of events) bytes += EVENT_BYTES_MIN + textBytes(event.name) + attributeBytes(event.attributes);
  return bytes + attributeBytes(attributes);
}

function attributeBytes(attributes: readonly Attribute[]): number {
  let bytes = 0;
  for (const [key, value] of attributes) bytes += PAIR_BYTES_MIN + textBytes(key) + textBytes(value);
  return bytes;
}

function textBytes(text: string): number {
  return Buffer.byteLength(text);
}

function fits(head: TraceHead, filter: TraceFilter): boolean {
  const { service, topic, errorsOnly, durationNanosMin, begunFromNanos, begunBeforeNanos } = filter;
  if (errorsOnly && !head.error) return false;
  if (head.endNanos - head.startNanos < durationNanosMin) return false;
  if (begunFromNanos !== undefined && head.startNanos < begunFromNanos) return false;
  if (begunBeforeNanos !== undefined && head.startNanos >= begunBeforeNanos) return false;
  if (filter.isOperation !== undefined && head.isOperation !== filter.isOperation) return false;
  if (topic !== '' && !head.topics.includes(topic)) return false;
  return service === '' || head.services.includes(service);
}

function headOf(traceId: string, spans: readonly Span[], droppedSpanCount: number): TraceHead {
  const byStart = [...spans].sort(startOrder);
  const first = byStart.find(({ parentSpanId }) => parentSpanId === '');
  const root = first ?? byStart[0];
  return {
    traceId,
    rootName: root?.name ?? '',
    startNanos: byStart[0]?.startNanos ?? 0n,
    endNanos: spans.reduce((latest, { endNanos }) => (endNanos > latest ? endNanos : latest), 0n),
    spanCount: spans.length,
    services: [...new Set(byStart.map(({ service }) => service))].filter((service) => service !== ''),
    topics: [...new Set(byStart.flatMap(topicsOf))],
    error: spans.some(({ error }) => error !== undefined),
    isOperation: first === undefined ? spans.some(isOfOperation) : isOfOperation(first),
    droppedSpanCount,
  };
}

function isOfOperation({ attributes }: Span): boolean {
  return attributes.some(([name]) => name === OPERATION_ATTRIBUTE);
}

function topicsOf({ attributes }: Span): string[] {
  return attributes.flatMap(([name, value]) => (name === TOPIC_ATTRIBUTE && value !== '' ? [value] : []));
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
