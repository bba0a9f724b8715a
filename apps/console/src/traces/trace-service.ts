/** TraceService of the contract, on the traces in memory. */
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PartitaError, TRACE_ID_PREFIX_CHARS_MIN } from '@partita/domain';
import { TraceServiceService } from '@partita/protocol';
import type { Duration, ListTracesRequest, ListTracesResponse, TraceSpan, TraceSummary } from '@partita/protocol';
import { implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import type { Span } from '../otlp/span.ts';
import { newestFirst } from './trace-store.ts';
import type { TraceHead, TraceStore } from './trace-store.ts';

const NANOS_PER_SECOND = 1_000_000_000n;
/** `start in nanoseconds-trace id` of the last entry of a page. */
const PAGE_TOKEN = /^(\d{1,20})-([0-9a-f]{32})$/;

export function traceService(store: TraceStore): Implementation<TraceServiceService> {
  return implement(TraceServiceService, {
    listTraces: unary((request) => listTraces(store, request)),
    getTrace: unary(({ traceId }) => {
      const id = wholeId(store, traceId);
      const head = store.head(id);
      return { summary: head === undefined ? undefined : summary(head), spans: store.spans(id).map(traceSpan) };
    }),
  });
}

function listTraces(store: TraceStore, request: ListTracesRequest): ListTracesResponse {
  const { pageSize, pageToken, serviceName, errorsOnly, minDuration } = request;
  if (pageSize < 0)
    throw new PartitaError('INVALID_REQUEST', 'page_size must be 0 (default) or more', { field: 'page_size' });
  const after = pageToken === '' ? undefined : parseToken(pageToken);
  const durationNanosMin = minDuration === undefined ? 0n : nanosOf(minDuration);
  const all = store.list({ service: serviceName, errorsOnly, durationNanosMin });
  const rest = after === undefined ? all : all.filter((head) => newestFirst(after, head) < 0);
  const page = rest.slice(0, Math.min(pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX));
  const last = page.at(-1);
  const nextPageToken = last === undefined || page.length === rest.length ? '' : `${last.startNanos}-${last.traceId}`;
  return { traces: page.map(summary), nextPageToken };
}

function parseToken(token: string): Pick<TraceHead, 'startNanos' | 'traceId'> {
  const [, startNanos, traceId] = PAGE_TOKEN.exec(token) ?? [];
  if (startNanos === undefined || traceId === undefined)
    throw new PartitaError('INVALID_PAGE_TOKEN', 'the page token is none of this list: begin without one');
  return { startNanos: BigInt(startNanos), traceId };
}

/** The id that is meant by an id or by its beginning. */
function wholeId(store: TraceStore, given: string): string {
  const prefix = given.toLowerCase();
  if (prefix.length < TRACE_ID_PREFIX_CHARS_MIN) {
    const message = `trace_id must be an id, or at least its first ${TRACE_ID_PREFIX_CHARS_MIN} digits`;
    throw new PartitaError('INVALID_REQUEST', message, { field: 'trace_id' });
  }
  const [first, ...others] = store.idsBeginningWith(prefix);
  if (first === undefined)
    throw new PartitaError('TRACE_NOT_FOUND', `there is no trace ${given}, or no more`, { trace: given });
  if (others.length > 0) {
    const message = `${others.length + 1} traces begin with ${given}: give more of the id`;
    throw new PartitaError('INVALID_REQUEST', message, { field: 'trace_id' });
  }
  return first;
}

function summary(head: TraceHead): TraceSummary {
  return {
    traceId: head.traceId,
    rootName: head.rootName,
    startTime: secondsAndNanos(head.startNanos),
    duration: secondsAndNanos(head.endNanos - head.startNanos),
    spanCount: head.spanCount,
    serviceNames: [...head.services],
    error: head.error,
  };
}

function traceSpan(span: Span): TraceSpan {
  return {
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    name: span.name,
    serviceName: span.service,
    kind: span.kind === 'unspecified' ? 'internal' : span.kind,
    startTime: secondsAndNanos(span.startNanos),
    duration: secondsAndNanos(span.endNanos - span.startNanos),
    attributes: span.attributes.map(([name, value]) => ({ name, value })),
    links: [...span.links],
    error: span.error === '' ? 'error' : (span.error ?? ''),
  };
}

/** A time or a duration, at least 0. */
function secondsAndNanos(nanos: bigint): { seconds: bigint; nanos: number } {
  return { seconds: nanos / NANOS_PER_SECOND, nanos: Number(nanos % NANOS_PER_SECOND) };
}

function nanosOf({ seconds, nanos }: Duration): bigint {
  return seconds * NANOS_PER_SECOND + BigInt(nanos);
}
