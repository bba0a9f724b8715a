/** The tables of the comparison as Markdown, and its chart. */
import { count, markdownTable } from '../markdown-table.ts';
import { barChart } from './chart.ts';
import type { Panel } from './chart.ts';
import { judge, p99Ratio, throughputRatio } from './goals.ts';
import { workloadTitle } from './result.ts';
import type { WorkloadResult } from './result.ts';
import { figuresOf, p99Ms, spread } from './rounds.ts';
import type { Spread } from './rounds.ts';
import { TITLES } from './system.ts';
import type { SystemName } from './system.ts';

/** What can be compared with the others beside raw gRPC: records with keys, made into batches by a client. */
const OURS: readonly SystemName[] = ['direct', 'gateway', 'ready'];

export function compareTables(results: readonly WorkloadResult[]): string {
  const failures = results.flatMap((result) =>
    result.systems.flatMap(({ name, failure }) =>
      failure === undefined ? [] : [`Failed: ${TITLES[name]} at ${workloadTitle(result)}, because ${failure}.\n`],
    ),
  );
  const parts = [goalTable(results), ...results.map(workloadTables), failures.join('')];
  return parts.filter((part) => part !== '').join('\n');
}

/** One panel for MB/s and one for p99 of each workload. */
export function compareChart(results: readonly WorkloadResult[]): string {
  return barChart(results.flatMap((result) => [throughputPanel(result), p99Panel(result)]));
}

function goalTable(results: readonly WorkloadResult[]): string {
  const rows = results.flatMap((result) =>
    judge(result).map(({ text, system, target, ratio, isMet }) => [
      text,
      system,
      workloadTitle(result),
      target,
      ratioText(ratio),
      isMet ? 'met' : '**missed**',
    ]),
  );
  if (rows.length === 0) return '';
  return `## Goals\n\n${markdownTable(['ratio', 'of', 'workload', 'goal', 'measured', 'verdict'], rows)}`;
}

function workloadTables(result: WorkloadResult): string {
  const throughput = result.systems.flatMap(({ name, throughput: samples }) => {
    const figures = figuresOf(samples);
    if (figures === undefined) return [];
    return [
      [
        TITLES[name],
        ratioText(figures.bytesPerSecond, 1e6),
        count(figures.recordsPerSecond),
        ratioText(throughputRatio(result, name, 'kafka')),
        figures.serversCpuMsPerMb.toFixed(2),
        figures.clientCpuMsPerMb.toFixed(2),
      ],
    ];
  });
  const header = ['throughput', 'MB/s', 'records/s', 'to Kafka', 'CPU ms/MB: servers', 'client'];
  return `## ${workloadTitle(result)}\n\n${markdownTable(header, throughput)}\n${latencyTable(result)}`;
}

function latencyTable(result: WorkloadResult): string {
  const rows = result.systems.flatMap(({ name, latency }) => {
    const figures = figuresOf(latency?.samples ?? []);
    if (latency === undefined || figures?.latencyMs === undefined) return [];
    const { p50, p99, p999 } = figures.latencyMs;
    return [
      [
        TITLES[name],
        count(latency.ratePerSecond),
        count(figures.recordsPerSecond),
        ...[p50, p99, p999].map((ms) => ms.toFixed(2)),
        ratioText(p99Ratio(result, name, 'kafka')),
        figures.serversCpuMsPerMb.toFixed(2),
        figures.clientCpuMsPerMb.toFixed(2),
      ],
    ];
  });
  const percentiles = ['p50 ms', 'p99 ms', 'p99.9 ms', 'p99 to Kafka'];
  const header = ['latency', 'due/s', 'acknowledged/s', ...percentiles, 'CPU ms/MB: servers', 'client'];
  return rows.length === 0 ? '' : markdownTable(header, rows);
}

function throughputPanel(result: WorkloadResult): Panel {
  const bars = result.systems.flatMap(({ name, throughput }) => {
    const figures = figuresOf(throughput);
    if (figures === undefined) return [];
    const { median, lowest, highest } = figures.bytesPerSecond;
    return [{ ...label(name), value: median / 1e6, range: [lowest / 1e6, highest / 1e6] as const }];
  });
  return { title: `${workloadTitle(result)}: throughput`, unit: 'MB/s', bars };
}

function p99Panel(result: WorkloadResult): Panel {
  const bars = result.systems.flatMap(({ name, latency }) => {
    const value = figuresOf(latency?.samples ?? [])?.latencyMs?.p99;
    if (latency === undefined || value === undefined) return [];
    const { lowest, highest } = spread(latency.samples.map(p99Ms));
    const { label: title, isOurs } = label(name);
    return [{ label: `${title}, ${count(latency.ratePerSecond)}/s`, isOurs, value, range: [lowest, highest] as const }];
  });
  return { title: `${workloadTitle(result)}: due to acknowledged, 99th percentile`, unit: 'ms', bars };
}

function label(name: SystemName): { readonly label: string; readonly isOurs: boolean } {
  return { label: TITLES[name], isOurs: OURS.includes(name) };
}

/** The median, and how far the rounds lay apart; nothing where there is no ratio. */
function ratioText(ratio: Spread | undefined, unit = 1): string {
  if (ratio === undefined) return '';
  const [median, lowest, highest] = [ratio.median, ratio.lowest, ratio.highest].map((value) =>
    (value / unit).toFixed(unit === 1 ? 2 : 1),
  );
  return `**${median}** (${lowest} to ${highest})`;
}
