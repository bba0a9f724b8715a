import { jsonLine, timeText } from '../output/json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { nanosText, printable } from '../traces/duration-text.ts';
import type { TraceOptions } from '../traces/find-traces.ts';
import { summaryNanos, summaryView, traceSummaries } from '../traces/summaries.ts';
import type { SummaryFilter } from '../traces/summaries.ts';

export type ListOptions = TraceOptions & SummaryFilter;

const SHORT_ID_CHARS = 12;
const HEADINGS = ['TRACE', 'START', 'DURATION', 'SPANS', 'ERROR', 'ROOT', 'SERVICES'];

/** A line for each trace. `+12` behind the number of spans: so many more came, and were left out. */
export async function listTraces(options: ListOptions, terminal: Terminal): Promise<void> {
  const traces = await traceSummaries(options, options, terminal);
  if (options.json === true) {
    for (const summary of traces) await terminal.line(jsonLine(summaryView(summary)));
    return;
  }
  if (traces.length === 0) {
    terminal.note(isFiltered(options) ? 'no such traces' : 'no traces; begin one with partita produce --trace');
    return;
  }
  const rows = traces.map((summary) => [
    summary.traceId.slice(0, SHORT_ID_CHARS),
    timeText(summary.startTime) ?? '-',
    nanosText(summaryNanos(summary)),
    `${summary.spanCount}${summary.droppedSpanCount === 0n ? '' : `+${summary.droppedSpanCount}`}`,
    summary.error ? 'error' : '-',
    printable(summary.rootName),
    summary.serviceNames.map(printable).join(', '),
  ]);
  await terminal.line(table(HEADINGS, rows, terminal.colors));
}

function isFiltered({ service, topic, since, until, minDuration, errors }: ListOptions): boolean {
  return [service, topic, since, until, minDuration, errors].some((value) => value !== undefined);
}
