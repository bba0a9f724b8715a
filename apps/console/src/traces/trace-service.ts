/** TraceService of the contract, on the traces in memory. */
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PartitaError, TRACE_ID_PREFIX_CHARS_MIN } from '@partita/domain';
import { TraceOrder, TraceOrigin, TraceServiceService } from '@partita/protocol';
import type {
  Duration,
  ListTracesRequest,
  ListTracesResponse,
  Timestamp,
  TraceAttribute,
  TraceSpan,
  TraceSummary,
} from '@partita/protocol';
import { checkEnum } from '@partita/rpc';
import { implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import type { Attribute, Span } from '../otlp/span.ts';
import { comparePlaces, pageTokenOf, placeOf, placeOfToken } from './trace-order.ts';
import type { TraceFilter, TraceHead, TraceStore } from './trace-store.ts';

const NANOS_PER_SECOND = 1_000_000_000n;
const ORDERS = [
  TraceOrder.TRACE_ORDER_UNSPECIFIED,
  TraceOrder.TRACE_ORDER_NEWEST,
  TraceOrder.TRACE_ORDER_SLOWEST,
] as const;

const ORIGINS = [
  TraceOrigin.TRACE_ORIGIN_UNSPECIFIED,
  TraceOrigin.TRACE_ORIGIN_CLIENT,
  TraceOrigin.TRACE_ORIGIN_OPERATION,
] as const;

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
  const { pageSize, pageToken } = request;
  if (pageSize < 0)
    throw new PartitaError('INVALID_REQUEST', 'page_size must be 0 (default) or more', { field: 'page_size' });
  const order = checkEnum(request.order, ORDERS, 'order');
  const after = pageToken === '' ? undefined : placeOfToken(pageToken);
  const entries = store.list(filterOf(request)).map((head) => ({ head, place: placeOf(head, order) }));
  const rest = entries
    .filter(({ place }) => after === undefined || comparePlaces(after, place) < 0)
    .sort((left, right) => comparePlaces(left.place, right.place));
  const page = rest.slice(0, Math.min(pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX));
  const last = page.at(-1);
  const nextPageToken = last === undefined || page.length === rest.length ? '' : pageTokenOf(last.place);
  return { traces: page.map(({ head }) => summary(head)), nextPageToken };
}

function filterOf(request: ListTracesRequest): TraceFilter {
  const { serviceName, topic, errorsOnly, minDuration, begunFrom, begunBefore } = request;
  const origin = checkEnum(request.origin, ORIGINS, 'origin');
  return {
    service: serviceName,
    topic,
    errorsOnly,
    durationNanosMin: minDuration === undefined ? 0n : nanosOf(minDuration),
    begunFromNanos: begunFrom === undefined ? undefined : nanosOf(begunFrom),
    begunBeforeNanos: begunBefore === undefined ? undefined : nanosOf(begunBefore),
    isOperation:
      origin === TraceOrigin.TRACE_ORIGIN_UNSPECIFIED ? undefined : origin === TraceOrigin.TRACE_ORIGIN_OPERATION,
  };
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
    droppedSpanCount: BigInt(head.droppedSpanCount),
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
    serviceInstance: span.instance,
    attributes: traceAttributes(span.attributes),
    events: span.events.map(({ name, nanos, attributes }) => ({
      name,
      time: secondsAndNanos(nanos),
      attributes: traceAttributes(attributes),
    })),
    links: [...span.links],
    droppedAttributeCount: span.dropped.attributes,
    droppedEventCount: span.dropped.events,
    droppedLinkCount: span.dropped.links,
    error: span.error === '' ? 'error' : (span.error ?? ''),
  };
}

function traceAttributes(attributes: readonly Attribute[]): TraceAttribute[] {
  return attributes.map(([name, value]) => ({ name, value }));
}

/** A time or a duration, at least 0. */
function secondsAndNanos(nanos: bigint): { seconds: bigint; nanos: number } {
  return { seconds: nanos / NANOS_PER_SECOND, nanos: Number(nanos % NANOS_PER_SECOND) };
}

function nanosOf({ seconds, nanos }: Duration | Timestamp): bigint {
  return seconds * NANOS_PER_SECOND + BigInt(nanos);
}
