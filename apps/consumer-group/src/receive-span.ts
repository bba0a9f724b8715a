/**
 * The way of a record through this service: `receive <topic>`, child of the span in the record's traceparent and parent of
 * the member's `process`. Below it `fetch <topic>`, until its batch was here, and `deliver <topic>`, until it was sent: the
 * wait for its turn, for credit and for room. Made when it is sent, for sampled records only and only when the process
 * traces, from times that were noted before: no span is open while a record waits.
 */
import { recordTraces } from '@partita/batch';
import { SpanKind, trace } from '@opentelemetry/api';
import type { Attributes, Context, SpanContext } from '@opentelemetry/api';
import { contextOf, sampledParent, traceparentOf } from '@partita/client';
import { TRACED_RECORD_COUNT_MAX } from '@partita/domain';
import type { ConsumedTrace } from '@partita/protocol';
import { spanTimeMs } from '@partita/rpc';

/** What the spans of a stream tell. */
export interface ReceiveSource {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
}

/** One message from a leader, with batches that travel on from here. Times are those of `performance.now()`. */
export interface Arrival {
  /** From when on the leader had only to send them: the reading began, or what came before them was here. */
  readonly askedMs: number;
  readonly arrivedMs: number;
  readonly bytes: number;
  /** The first `fetch` span that was made of it: those of its other records are linked to that. */
  fetch: SpanContext | undefined;
}

/** Where a record stands in what has arrived. */
interface TracedRecord {
  readonly offset: bigint;
  readonly traceparent: string;
  /** The leader's wall clock at append. */
  readonly appendTimeMs: bigint;
}

/** Spans that are not ended yet; nothing is awaited until they are. */
export interface ReceiveSpan {
  /** What the record goes on with. */
  readonly traceparent: string;
  /** The record was sent, or that has failed. */
  end(): void;
}

const tracer = trace.getTracer('partita');

/** Begins the spans of a record; undefined when it is not traced. End them when it was sent. */
export function beginReceive(
  record: TracedRecord,
  source: ReceiveSource,
  arrival: Arrival | undefined,
): ReceiveSpan | undefined {
  if (record.traceparent === '' || sampledParent(record.traceparent) === undefined) return undefined;
  const times = timesOf(record, arrival);
  const attributes = { ...attributesOf('receive', source), 'messaging.partita.offset': String(record.offset) };
  const receive = tracer.startSpan(
    `receive ${source.topic}`,
    { kind: SpanKind.CONSUMER, attributes, startTime: times.fetchMs },
    contextOf(record.traceparent),
  );
  const below = trace.setSpan(contextOf(record.traceparent), receive);
  if (arrival !== undefined) noteFetch(arrival, source, times, below);
  const deliver = tracer.startSpan(
    `deliver ${source.topic}`,
    { attributes: attributesOf('deliver', source), startTime: times.arrivedMs },
    below,
  );
  return {
    traceparent: traceparentOf(receive),
    end: () => {
      const endMs = Math.max(times.arrivedMs, spanTimeMs());
      deliver.end(endMs);
      receive.end(endMs);
    },
  };
}

/**
 * The spans of a batch that is passed on as it is stored: what continues its traces goes beside it. A batch that cannot be
 * read has none: its member tells why. At most TRACED_RECORD_COUNT_MAX of its records are given spans.
 */
export function beginBatchReceive(
  bytes: Uint8Array,
  appendTimeMs: bigint,
  source: ReceiveSource,
  arrival: Arrival | undefined,
): { readonly traces: ConsumedTrace[]; end(): void } {
  const traces: ConsumedTrace[] = [];
  const spans: ReceiveSpan[] = [];
  for (const found of tracesIn(bytes)) {
    const span = beginReceive({ ...found, appendTimeMs }, source, arrival);
    if (span === undefined) continue;
    spans.push(span);
    if (span.traceparent !== '') traces.push({ offset: found.offset, traceparent: span.traceparent });
  }
  return { traces, end: () => endAll(spans) };
}

export function endAll(spans: readonly ReceiveSpan[]): void {
  for (const span of spans) span.end();
}

function tracesIn(bytes: Uint8Array): ReturnType<typeof recordTraces> {
  try {
    return recordTraces(bytes, 0, TRACED_RECORD_COUNT_MAX);
  } catch {
    return [];
  }
}

interface Times {
  /** Wall clock, milliseconds with fractions. Invariant: fetchMs <= arrivedMs. */
  readonly fetchMs: number;
  readonly arrivedMs: number;
}

/** A stream may be open for hours before a record is sent: its fetching begins with its append, if that was later. */
function timesOf({ appendTimeMs }: TracedRecord, arrival: Arrival | undefined): Times {
  const arrivedMs = spanTimeMs(arrival?.arrivedMs);
  if (arrival === undefined) return { fetchMs: arrivedMs, arrivedMs };
  return { fetchMs: Math.min(arrivedMs, Math.max(spanTimeMs(arrival.askedMs), Number(appendTimeMs))), arrivedMs };
}

/** All records of an arrival were fetched at once: one of their spans stands for the others. */
function noteFetch(arrival: Arrival, source: ReceiveSource, { fetchMs, arrivedMs }: Times, below: Context): void {
  const span = tracer.startSpan(
    `fetch ${source.topic}`,
    {
      kind: SpanKind.CLIENT,
      attributes: { ...attributesOf('fetch', source), 'partita.bytes': arrival.bytes },
      links: arrival.fetch === undefined ? [] : [{ context: arrival.fetch }],
      startTime: fetchMs,
    },
    below,
  );
  arrival.fetch ??= span.spanContext();
  span.end(arrivedMs);
}

function attributesOf(operation: 'receive' | 'fetch' | 'deliver', source: ReceiveSource): Attributes {
  return {
    'messaging.system': 'partita',
    'messaging.operation.type': 'receive',
    'messaging.operation.name': operation,
    'messaging.destination.name': source.topic,
    'messaging.destination.partition.id': String(source.partition),
    'messaging.consumer.group.name': source.group,
  };
}
