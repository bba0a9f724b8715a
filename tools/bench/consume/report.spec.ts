import { describe, expect, it } from 'vitest';
import { consumeHeader, consumeTables } from './report.ts';
import { CONSUME_ROWS } from './rows.ts';
import type { LatencyRow, ThroughputRow } from './rows.ts';

const machine = { date: '2001-01-01', version: '0.1.0', node: 'v24.0.0', cpu: 'Some CPU', coreCount: 2 };

function rowOf<Kind extends 'throughput' | 'latency'>(kind: Kind) {
  return CONSUME_ROWS.find((row) => row.kind === kind) as Kind extends 'latency' ? LatencyRow : ThroughputRow;
}

describe('the consume report', () => {
  it('states machine, workload and method', () => {
    const header = consumeHeader({ ...machine, memoryBytes: 8 * 2 ** 30, rounds: 3, seconds: 1 });
    for (const part of ['Some CPU, 2 cores, 8 GiB', '256 KiB', '3 rounds of 1 s', 'latency: 2 s', '1,000 records'])
      expect(header).toContain(part);
  });

  it('has tables of throughput and latency, and names what was skipped', () => {
    const figures = {
      ours: { recordsPerSecond: 1000, bytesPerSecond: 5e6 },
      raw: { recordsPerSecond: 2000, bytesPerSecond: 1e7 },
      ratio: { median: 0.5, lowest: 0.25, highest: 0.75 },
    };
    const latencyMs = { p50: 1, p99: 2.5, p999: 10 };
    const tables = consumeTables({
      throughput: [{ row: rowOf('throughput'), figures }],
      latency: [{ row: rowOf('latency'), recordCount: 6000, latencyMs }],
      skipped: [{ name: 'cold-direct', why: 'there is no dd' }],
    });
    expect(tables).toBe(`| row | against | MB/s | records/s | against MB/s | ratio |
| --- | ---: | ---: | ---: | ---: | ---: |
| simple: decoded by the service, 1024 B | raw gRPC, the same hops | 5.0 | 1,000 | 10.0 | **0.50** (0.25 to 0.75) |

| end to end | records | p50 ms | p99 ms | p99.9 ms |
| --- | ---: | ---: | ---: | ---: |
| simple: decoded by the service | 6,000 | 1.00 | 2.50 | 10.00 |

Skipped: cold-direct, because there is no dd.
`);
  });

  it('has a name of its own for every row', () => {
    expect(new Set(CONSUME_ROWS.map(({ name }) => name)).size).toBe(CONSUME_ROWS.length);
  });
});
