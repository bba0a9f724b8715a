import { TraceServiceService } from '@partita/protocol';
import type { GetTraceResponse, TraceAttribute, TraceEvent } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { NotFoundError, UsageError } from '../exit-code.ts';
import { jsonLine, timeText } from '../output/json.ts';
import type { Terminal } from '../terminal.ts';
import { nanosText, printable } from '../traces/duration-text.ts';
import { withTraces } from '../traces/find-traces.ts';
import type { TraceOptions } from '../traces/find-traces.ts';
import { slowParts, slowPartText } from '../traces/slow-part.ts';
import type { SlowPart, SlowParts } from '../traces/slow-part.ts';
import { spanTree } from '../traces/span-tree.ts';
import type { SpanNode } from '../traces/span-tree.ts';
import { summaryNanos, summaryView, traceSummaries } from '../traces/summaries.ts';
import { waterfall } from '../traces/waterfall.ts';

export interface ShowOptions extends TraceOptions {
  readonly last?: boolean;
  readonly slowest?: boolean;
  readonly operations?: boolean;
  readonly attributes?: boolean;
}

/** The trace that an id names, the newest or the longest one: a waterfall, and below it the part that took longest. */
export async function showTrace(id: string | undefined, options: ShowOptions, terminal: Terminal): Promise<void> {
  const traceId = await chosenTrace(id, options, terminal);
  const answer = await withTraces(options, terminal, (client) =>
    callUnary(client, TraceServiceService.getTrace, { traceId }, { signal: terminal.interrupted }),
  );
  const nodes = spanTree(answer.spans);
  const slow = slowParts(nodes);
  if (options.json === true) {
    await terminal.line(jsonLine(traceView(answer, nodes, slow)));
    return;
  }
  const { columns, colors } = terminal;
  const { attributes = false } = options;
  for (const line of heading(answer)) await terminal.line(line);
  for (const line of waterfall(nodes, { columns, colors, attributes, marked: slow.slowest?.node }))
    await terminal.line(line);
  if (slow.slowest !== undefined) await terminal.line(`\nSlowest: ${slowPartText(slow.slowest)}`);
  if (slow.wait !== undefined) await terminal.line(`Waiting: ${slowPartText(slow.wait)}`);
  if (nodes.some(({ orphan }) => orphan))
    terminal.note('? = the span above it is missing: not received yet, or not traced');
}

/** Throws a UsageError for what names none, or more than one. */
async function chosenTrace(id: string | undefined, options: ShowOptions, terminal: Terminal): Promise<string> {
  const { last = false, slowest = false, operations = false } = options;
  if ((id === undefined) === !(last || slowest)) throw new UsageError('name one trace, or --last, or --slowest');
  if (id !== undefined && !/^[0-9a-fA-F]{4,32}$/.test(id))
    throw new UsageError(`"${id}" is no trace id: 32 hexadecimal digits, or the first 4 and more`);
  if (id !== undefined) return id;
  const [first] = await traceSummaries({ max: 1, slowest, operations }, options, terminal);
  if (first === undefined) throw new NotFoundError('there are no traces; begin one with partita produce --trace');
  return first.traceId;
}

function heading({ summary, spans }: GetTraceResponse): string[] {
  if (summary === undefined) return [];
  const failures = spans.filter(({ error }) => error !== '').length;
  const { spanCount, serviceNames, droppedSpanCount } = summary;
  const parts = [
    `${spanCount} ${spanCount === 1 ? 'span' : 'spans'}`,
    `${serviceNames.length} ${serviceNames.length === 1 ? 'service' : 'services'}`,
    ...(failures === 0 ? [] : [`${failures} failed`]),
    ...(droppedSpanCount === 0n ? [] : [`${droppedSpanCount} more left out`]),
  ];
  const when = `${timeText(summary.startTime) ?? ''}, ${nanosText(summaryNanos(summary))}`;
  return [`trace ${summary.traceId}`, `${printable(summary.rootName)}, ${when}: ${parts.join(', ')}`, ''];
}

function traceView({ summary }: GetTraceResponse, nodes: readonly SpanNode[], { slowest, wait, path }: SlowParts) {
  return {
    ...(summary === undefined ? {} : summaryView(summary)),
    ...(slowest === undefined ? {} : { slowest: slowPartView(slowest) }),
    ...(wait === undefined ? {} : { waiting: slowPartView(wait) }),
    path: path.map(({ kind, node, nanos }) => ({ spanId: node.span.spanId, kind, ms: nanos / 1e6 })),
    spans: nodes.map(spanView),
  };
}

function slowPartView(slow: SlowPart) {
  const { node, nanos, pathNanos, share, who, topic, partition } = slow;
  const { spanId, name, serviceName: service } = node.span;
  return {
    ...{ text: slowPartText(slow), spanId, name, service, who, topic, partition },
    ...{ ms: nanos / 1e6, pathMs: pathNanos / 1e6, share },
  };
}

function spanView({ span, depth, startNanos, durationNanos, ownNanos }: SpanNode) {
  const { spanId, parentSpanId, name, serviceName: service, serviceInstance: instance, kind, links, error } = span;
  const { droppedAttributeCount, droppedEventCount, droppedLinkCount } = span;
  const times = { startMs: startNanos / 1e6, durationMs: durationNanos / 1e6, ownMs: ownNanos / 1e6 };
  return {
    ...{ spanId, parentSpanId, name, service, instance, kind, depth, ...times },
    attributes: attributesView(span.attributes),
    events: span.events.map(eventView),
    links,
    ...{ droppedAttributeCount, droppedEventCount, droppedLinkCount },
    ...(error === '' ? {} : { error }),
  };
}

function eventView({ name, time, attributes }: TraceEvent) {
  return { name, time: timeText(time), attributes: attributesView(attributes) };
}

function attributesView(attributes: readonly TraceAttribute[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ name, value }) => [name, value]));
}
