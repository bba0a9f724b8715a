/** The delay bench as Markdown. */
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { markdownTable, megabytes, ratioText } from '../markdown-table.ts';
import { BASE } from '../produce/settings.ts';
import type { RowFigures } from '../rounds.ts';
import { GOAL } from './rows.ts';
import type { DelayRow } from './rows.ts';

export interface DelayFacts extends Machine {
  readonly rounds: number;
  readonly seconds: number;
  /** One way. */
  readonly delayMs: number;
  /** Processes that wanted a core before the bench began, over a minute. */
  readonly loadAverage: number;
}

export interface DelayReport {
  readonly row: DelayRow;
  /** `ours` = with the delay, `raw` = without. */
  readonly figures: RowFigures;
}

export function delayHeader(facts: DelayFacts): string {
  return `# Partita delay bench

${machineLine(facts)}
  Client, proxy, gateway and brokers share these ${facts.coreCount} cores, so absolute figures are low: the ratio is the result. Load average
  before the run: ${facts.loadAverage.toFixed(1)}.
- **Line**: a TCP proxy, a process of its own, is the address that clients are told: of the gateway, or of the brokers. It holds
  every chunk up for ${facts.delayMs} ms in each direction, in order, and limits no bandwidth; the other side of each pair goes through the
  same proxy, the same connections, without delay. Between the services there is none.
- **Workload**: the SDK's producer with its defaults and the bytes of records in flight that the row names; ${BASE.recordBytes} B, ${BASE.partitionCount} partitions,
  acks=${BASE.acks}, flush=${BASE.flush}, replication ${BASE.replicationFactor}. Closed loop, from the first send to the last acknowledgement: what opening
  the stream and waiting for the last answers takes is in it.
- **Most**: with N bytes in flight, no more than N a round trip of ${2 * facts.delayMs} ms can be acknowledged, however fast the rest is.
- **Method**: ${facts.rounds} rounds of ${facts.seconds} s for each row, with delay and without in turn after a warm-up of each; medians; the ratio is the
  median of the rounds' ratios (lowest to highest). Goal: ${GOAL} once enough is in flight.
`;
}

export function delayTable(reports: readonly DelayReport[], delayMs: number): string {
  const table = markdownTable(
    ['row', 'in flight', `MB/s, ${delayMs} ms`, 'MB/s, 0 ms', 'ratio', 'most MB/s'],
    reports.map(({ row, figures }) => [
      row.path.title,
      `${row.inFlightBytes / 1024 / 1024} MiB`,
      megabytes(figures.ours),
      megabytes(figures.raw),
      ratioText(figures),
      mostMegabytes(row, delayMs).toFixed(0),
    ]),
  );
  return `${table}\n${verdicts(reports).join('\n')}\n`;
}

/** Bytes in flight for each round trip, MB/s. */
export function mostMegabytes({ inFlightBytes }: DelayRow, delayMs: number): number {
  return inFlightBytes / (2 * delayMs * 1000);
}

/** A line for each path that was measured: from where on the goal holds. */
export function verdicts(reports: readonly DelayReport[]): string[] {
  return [...new Set(reports.map(({ row }) => row.path))].map((path) => {
    const of = reports.filter(({ row }) => row.path === path);
    const reached = of.find(({ figures }) => figures.ratio.median >= GOAL);
    if (reached !== undefined) {
      return `- ${path.title}: at least ${GOAL} of its throughput without delay from ${reached.row.inFlightBytes / 1024 / 1024} MiB in flight on.`;
    }
    const best = Math.max(...of.map(({ figures }) => figures.ratio.median));
    return `- ${path.title}: **not reached**, the best is ${best.toFixed(2)}.`;
  });
}
