/** The reference of all metrics: docs/metrics.md is what metricsPage makes of the table of instruments. */
import { INSTRUMENTS_BY_SERVICE, prometheusLabel, prometheusName } from '@partita/telemetry';
import type { InstrumentRow, LabelBound } from '@partita/telemetry';

/** Label values that are listed; of more only the number is said. */
const LISTED_VALUE_COUNT_MAX = 6;

const HEAD = `# Metrics

Every metric of every service, from the one table of instruments in [libs/telemetry](../libs/telemetry/src/instrument-table.ts).
[operating.md](operating.md#metrics) says how to get at them. Names, units and labels are API: they change as the contract does.

The first name is that of Prometheus, at \`/metrics\`; the second that of OpenTelemetry, over OTLP. A histogram is three
series: \`_bucket\`, \`_sum\` and \`_count\`. Counters begin at 0 with the process. A label with a bound has that many values at
most; further ones count as \`_other\`, and an instrument has at most 10,000 series. Which process says something is in the
labels \`job\` and \`instance\` of the scrape, and in \`target_info\`.
`;

/** The page, for people. */
export function metricsPage(): string {
  const sections = INSTRUMENTS_BY_SERVICE.map(({ service, rows }) => `## ${heading(service)}\n\n${table(rows)}`);
  return [HEAD, ...sections].join('\n');
}

function heading(service: string): string {
  return `${service.charAt(0).toUpperCase()}${service.slice(1)}`;
}

function table(rows: Readonly<Record<string, InstrumentRow>>): string {
  const lines = Object.entries(rows).map(([name, row]) => {
    const names = `\`${prometheusName(name, row)}\`<br>\`${name}\``;
    return `| ${names} | ${row.kind} | ${unitOf(row)} | ${labelsOf(row)} | ${row.description} |`;
  });
  return `${['| name | kind | unit | labels | what |', '| --- | --- | --- | --- | --- |', ...lines].join('\n')}\n`;
}

function unitOf({ unit }: InstrumentRow): string {
  const words: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes', '1': '0 to 1', '': '' };
  return words[unit] ?? unit.replace(/[{}]/g, '').replaceAll('_', ' ');
}

function labelsOf({ labels = {} }: InstrumentRow): string {
  return Object.entries(labels)
    .map(([name, bound]) => `\`${prometheusLabel(name)}\`${boundOf(bound)}`)
    .join('<br>');
}

function boundOf(bound: LabelBound): string {
  if (typeof bound === 'number') return bound === 1 ? '' : `: at most ${bound.toLocaleString('en')}`;
  return bound.length <= LISTED_VALUE_COUNT_MAX ? `: ${bound.join(', ')}` : '';
}
