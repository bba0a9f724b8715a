import { describe, expect, it } from 'vitest';
import { delayTable, mostMegabytes, verdicts } from './report.ts';
import type { DelayReport } from './report.ts';
import { DELAY_ROWS } from './rows.ts';

function reportOf(name: string, median: number): DelayReport {
  const row = DELAY_ROWS.find((one) => one.name === name);
  if (row === undefined) throw new Error(`no row ${name}`);
  const side = { recordsPerSecond: 1000, bytesPerSecond: 2e6 };
  return { row, figures: { ours: side, raw: side, ratio: { median, lowest: 0.1, highest: 0.99 } } };
}

describe('the delay report', () => {
  it('says from how much in flight on the goal is reached, for each path', () => {
    const reports = [
      reportOf('gateway-1', 0.3),
      reportOf('gateway-4', 0.8),
      reportOf('gateway-16', 0.95),
      reportOf('direct-1', 0.2),
      reportOf('direct-64', 0.79),
    ];
    expect(verdicts(reports)).toEqual([
      '- through a gateway: at least 0.8 of its throughput without delay from 4 MiB in flight on.',
      '- to the leaders: **not reached**, the best is 0.79.',
    ]);
    expect(delayTable(reports, 20)).toContain(
      '| through a gateway | 4 MiB | 2.0 | 2.0 | **0.80** (0.10 to 0.99) | 105 |',
    );
  });

  it('tells what the line allows: what is in flight, once a round trip', () => {
    expect(mostMegabytes(reportOf('gateway-1', 1).row, 20)).toBeCloseTo(26.2, 1);
  });
});
