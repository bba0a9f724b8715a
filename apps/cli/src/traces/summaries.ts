/** Traces in one line each, asked of the console. */
import { TraceOrder, TraceOrigin, TraceServiceService } from '@partita/protocol';
import type { Duration, TraceSummary } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { timeText } from '../output/json.ts';
import type { Terminal } from '../terminal.ts';
import { withTraces } from './find-traces.ts';
import type { TraceOptions } from './find-traces.ts';
import { timestampOf } from './moment.ts';

/** As commander names them. */
export interface SummaryFilter {
  readonly service?: string;
  readonly topic?: string;
  readonly since?: Date;
  readonly until?: Date;
  /** Milliseconds. */
  readonly minDuration?: number;
  readonly errors?: boolean;
  readonly slowest?: boolean;
  /** Those that services begin by themselves, instead of those of clients. */
  readonly operations?: boolean;
  readonly max: number;
}

export async function traceSummaries(
  filter: SummaryFilter,
  options: TraceOptions,
  terminal: Terminal,
): Promise<TraceSummary[]> {
  const { service = '', topic = '', since, until, minDuration, errors = false, slowest = false, max } = filter;
  const request = {
    pageSize: max,
    pageToken: '',
    serviceName: service,
    topic,
    errorsOnly: errors,
    minDuration: minDuration === undefined ? undefined : durationMessage(minDuration),
    begunFrom: since === undefined ? undefined : timestampOf(since),
    begunBefore: until === undefined ? undefined : timestampOf(until),
    origin: filter.operations === true ? TraceOrigin.TRACE_ORIGIN_OPERATION : TraceOrigin.TRACE_ORIGIN_CLIENT,
    order: slowest ? TraceOrder.TRACE_ORDER_SLOWEST : TraceOrder.TRACE_ORDER_NEWEST,
  };
  const { traces } = await withTraces(options, terminal, (client) =>
    callUnary(client, TraceServiceService.listTraces, request, { signal: terminal.interrupted }),
  );
  return traces;
}

export function summaryNanos({ duration: length }: TraceSummary): number {
  return length === undefined ? 0 : Number(length.seconds) * 1e9 + length.nanos;
}

/** As JSON shows it. */
export function summaryView(summary: TraceSummary) {
  const { traceId, rootName, startTime, spanCount, serviceNames, error, droppedSpanCount } = summary;
  return {
    ...{ traceId, rootName, start: timeText(startTime), durationMs: summaryNanos(summary) / 1e6, spanCount },
    ...{ droppedSpanCount, services: serviceNames, error },
  };
}

function durationMessage(ms: number): Duration {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round((ms % 1000) * 1e6) };
}
