import { describe, expect, it } from 'vitest';
import { headerOf, tablesOf } from './report.ts';
import { ROWS } from './rows.ts';

const facts = {
  date: '2001-01-01',
  version: '0.1.0',
  node: 'v24.0.0',
  cpu: 'Some CPU',
  coreCount: 2,
  memoryBytes: 8 * 2 ** 30,
  rounds: 5,
  seconds: 2,
  server: undefined,
};

describe('the report', () => {
  it('states machine, workload, cluster and method', () => {
    const header = headerOf(facts);
    for (const part of [
      'Some CPU, 2 cores, 8 GiB',
      '1 KiB',
      '256 KiB',
      '6 partitions',
      'flush=fsync',
      '3 brokers',
      '5 rounds of 2 s',
    ]) {
      expect(header).toContain(part);
    }
  });

  it('has a line for each row, and latencies where they were taken', () => {
    const [batches, , , , unary] = ROWS;
    const side = { recordsPerSecond: 1234.5, bytesPerSecond: 5e6 };
    const ratio = { median: 0.5, lowest: 0.25, highest: 0.75 };
    const latencyMs = { p50: 1, p99: 2.345, p999: 10 };
    expect(
      tablesOf([
        { row: batches!, figures: { ours: side, raw: side, ratio } },
        { row: unary!, figures: { ours: { ...side, latencyMs }, raw: { ...side, latencyMs }, ratio } },
      ]),
    ).toBe(
      `| row | hops | ours MB/s | ours records/s | raw MB/s | ours / raw |
| --- | ---: | ---: | ---: | ---: | ---: |
| produce, ready batches | client → gateway → broker | 5.0 | 1,235 | 5.0 | **0.50** (0.25 to 0.75) |
| single records, unary calls | client → gateway → broker | 5.0 | 1,235 | 5.0 | **0.50** (0.25 to 0.75) |

| latency | calls/s | p50 ms | p99 ms | p99.9 ms |
| --- | ---: | ---: | ---: | ---: |
| single records, unary calls: ours | 1,235 | 1.00 | 2.35 | 10.00 |
| single records, unary calls: raw | 1,235 | 1.00 | 2.35 | 10.00 |
`,
    );
  });
});
