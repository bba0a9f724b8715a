/** `partita trace`: what was traced, and where the time went. */
import { PAGE_SIZE_MAX } from '@partita/domain';
import { TraceServiceService } from '@partita/protocol';
import type { GetTraceResponse, TraceSummary } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import type { Command } from 'commander';
import { duration, wholeNumber } from '../arguments.ts';
import { NotFoundError, UsageError } from '../exit-code.ts';
import { jsonLine, timeText } from '../output/json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { TRACES_FLAG, TRACES_HELP, withTraces } from '../traces/find-traces.ts';
import type { TraceOptions } from '../traces/find-traces.ts';
import { spanTree } from '../traces/span-tree.ts';
import type { SpanNode } from '../traces/span-tree.ts';
import { nanosText, printable, waterfall } from '../traces/waterfall.ts';

interface ListOptions extends TraceOptions {
  readonly service?: string;
  readonly minDuration?: number;
  readonly errors?: boolean;
  readonly max: number;
}

interface ShowOptions extends TraceOptions {
  readonly last?: boolean;
}

const SHORT_ID_CHARS = 12;
const HELP = `
Traces begin where a client asks for one, and are kept by the console that npm start runs, the newest 2,000.

Examples:
  echo '{"value": "hi"}' | partita produce hello --trace
  partita trace list --min-duration 50ms
  partita trace show --last
  partita trace show 4bf92f3577b3`;

export function addTraceCommand(program: Command, terminal: Terminal): void {
  const trace = program.command('trace').description('list and show traces').addHelpText('after', HELP);
  trace
    .command('list')
    .description('list traces, newest first')
    .option('--service <name>', 'only with a span of this service: partita-broker, say')
    .option('--min-duration <duration>', 'only at least this long', duration)
    .option('--errors', 'only with an error')
    .option('--max <n>', 'at most so many', wholeNumber('--max', 1, PAGE_SIZE_MAX), 20)
    .option(TRACES_FLAG, TRACES_HELP)
    .action((_options: unknown, command: Command) => list(command.optsWithGlobals<ListOptions>(), terminal));
  trace
    .command('show')
    .argument('[id]', 'id, or its beginning')
    .description('draw one trace: its spans, their durations, and what each took by itself')
    .option('--last', 'the newest one')
    .option(TRACES_FLAG, TRACES_HELP)
    .action((id: string | undefined, _options: unknown, command: Command) =>
      show(id, command.optsWithGlobals<ShowOptions>(), terminal),
    );
}

async function list(options: ListOptions, terminal: Terminal): Promise<void> {
  const traces = await summaries(options, options, terminal);
  if (options.json === true) {
    for (const summary of traces) await terminal.line(jsonLine(summaryView(summary)));
    return;
  }
  if (traces.length === 0) {
    terminal.note('no traces; begin one with partita produce --trace');
    return;
  }
  const rows = traces.map((summary) => [
    summary.traceId.slice(0, SHORT_ID_CHARS),
    timeText(summary.startTime) ?? '-',
    nanosText(durationNanos(summary)),
    String(summary.spanCount),
    summary.error ? 'error' : '-',
    printable(summary.rootName),
    summary.serviceNames.map(printable).join(', '),
  ]);
  const headings = ['TRACE', 'START', 'DURATION', 'SPANS', 'ERROR', 'ROOT', 'SERVICES'];
  await terminal.line(table(headings, rows, terminal.colors));
}

async function show(id: string | undefined, options: ShowOptions, terminal: Terminal): Promise<void> {
  if ((id === undefined) !== (options.last === true)) throw new UsageError('name one trace, or --last');
  if (id !== undefined && !/^[0-9a-fA-F]{4,32}$/.test(id))
    throw new UsageError(`"${id}" is no trace id: 32 hexadecimal digits, or the first 4 and more`);
  const traceId = id ?? (await summaries({ max: 1 }, options, terminal))[0]?.traceId;
  if (traceId === undefined) throw new NotFoundError('there are no traces; begin one with partita produce --trace');
  const answer = await withTraces(options, terminal, (client) =>
    callUnary(client, TraceServiceService.getTrace, { traceId }, { signal: terminal.interrupted }),
  );
  const nodes = spanTree(answer.spans);
  if (options.json === true) {
    await terminal.line(jsonLine(traceView(answer, nodes)));
    return;
  }
  for (const line of heading(answer)) await terminal.line(line);
  for (const line of waterfall(nodes, terminal)) await terminal.line(line);
  if (nodes.some(({ orphan }) => orphan))
    terminal.note('? = the span above it is missing: not received yet, or not traced');
}

async function summaries(
  filter: Pick<ListOptions, 'service' | 'minDuration' | 'errors' | 'max'>,
  options: TraceOptions,
  terminal: Terminal,
): Promise<TraceSummary[]> {
  const { service = '', minDuration, errors = false, max } = filter;
  const request = {
    pageSize: max,
    pageToken: '',
    serviceName: service,
    errorsOnly: errors,
    minDuration: minDuration === undefined ? undefined : durationMessage(minDuration),
  };
  const { traces } = await withTraces(options, terminal, (client) =>
    callUnary(client, TraceServiceService.listTraces, request, { signal: terminal.interrupted }),
  );
  return traces;
}

function heading({ summary, spans }: GetTraceResponse): string[] {
  if (summary === undefined) return [];
  const failures = spans.filter(({ error }) => error !== '').length;
  const parts = [
    `${summary.spanCount} ${summary.spanCount === 1 ? 'span' : 'spans'}`,
    `${summary.serviceNames.length} ${summary.serviceNames.length === 1 ? 'service' : 'services'}`,
    ...(failures === 0 ? [] : [`${failures} failed`]),
  ];
  const when = `${timeText(summary.startTime) ?? ''}, ${nanosText(durationNanos(summary))}`;
  return [`trace ${summary.traceId}`, `${printable(summary.rootName)}, ${when}: ${parts.join(', ')}`, ''];
}

function durationMessage(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round((ms % 1000) * 1e6) };
}

function durationNanos({ duration: length }: TraceSummary): number {
  return length === undefined ? 0 : Number(length.seconds) * 1e9 + length.nanos;
}

function summaryView(summary: TraceSummary) {
  const { traceId, rootName, startTime, spanCount, serviceNames, error } = summary;
  const durationMs = durationNanos(summary) / 1e6;
  return { traceId, rootName, start: timeText(startTime), durationMs, spanCount, services: serviceNames, error };
}

function traceView({ summary }: GetTraceResponse, nodes: readonly SpanNode[]) {
  return {
    ...(summary === undefined ? {} : summaryView(summary)),
    spans: nodes.map(({ span, depth, startNanos, durationNanos: length, ownNanos }) => ({
      spanId: span.spanId,
      parentSpanId: span.parentSpanId,
      name: span.name,
      service: span.serviceName,
      kind: span.kind,
      depth,
      startMs: startNanos / 1e6,
      durationMs: length / 1e6,
      ownMs: ownNanos / 1e6,
      attributes: Object.fromEntries(span.attributes.map(({ name, value }) => [name, value])),
      links: span.links,
      ...(span.error === '' ? {} : { error: span.error }),
    })),
  };
}
