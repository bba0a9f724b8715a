import { describe, expect, it } from 'vitest';
import { produceHeader, produceTables } from './report.ts';
import type { ProduceReport } from './report.ts';
import { PRODUCE_ROWS } from './rows.ts';

const facts = {
  date: '2001-01-01',
  version: '0.1.0',
  node: 'v24.0.0',
  cpu: 'Some CPU',
  coreCount: 2,
  memoryBytes: 8 * 2 ** 30,
  rounds: 3,
  seconds: 1,
  rate: undefined,
  loadAverage: 4.56,
};

function reportOf(name: string): ProduceReport {
  const row = PRODUCE_ROWS.find((one) => one.name === name);
  if (row === undefined) throw new Error(`no row ${name}`);
  return {
    row,
    figures: {
      ours: { recordsPerSecond: 1000, bytesPerSecond: 5e6 },
      raw: { recordsPerSecond: 2000, bytesPerSecond: 1e7 },
      ratio: { median: 0.5, lowest: 0.25, highest: 0.75 },
    },
    cpuMsPerMb: { client: 1.25, gateway: 2, brokers: 30 },
    latency: {
      ratePerSecond: 500,
      ackedPerSecond: 499.6,
      recordCount: 1500,
      latencyMs: { p50: 1, p99: 2.345, p999: 10 },
    },
  };
}

describe('the produce report', () => {
  it('states machine, load, workload and method', () => {
    const header = produceHeader(facts);
    for (const part of [
      'Some CPU, 2 cores, 8 GiB',
      'before the run: 4.6',
      'session, 1024 B, 6 partitions over',
      '8 MiB of records in flight',
      '16 KiB of records each',
      'half of the records/s',
      'for 3 s',
      '3 rounds of 1 s',
    ]) {
      expect(header).toContain(part);
    }
    expect(produceHeader({ ...facts, rate: 2500 })).toContain('at a fixed rate, 2,500/s, for 3 s');
  });

  it('has a line of throughput and one of latency for each row, how codecs pack, and what failed', () => {
    const failed = [{ name: 'direct-100', why: 'QUEUE_FULL: too many' }];
    const tables = produceTables([reportOf('batches-1024'), reportOf('codec-zstd')], failed);
    expect(tables.replace(/to \d\d %/, 'to NN %')).toBe(
      `| row | records/s | MB/s | against | against MB/s | ratio | CPU ms/MB: client | CPU ms/MB: gateway | CPU ms/MB: brokers |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| session, 1024 B | 1,000 | 5.0 | raw gRPC, the same hops | 10.0 | **0.50** (0.25 to 0.75) | 1.3 | 2.0 | 30.0 |
| session, 1024 B, codec zstd | 1,000 | 5.0 | session, 1024 B | 10.0 | **0.50** (0.25 to 0.75) | 1.3 | 2.0 | 30.0 |

| due to acknowledged | due/s | acknowledged/s | records | p50 ms | p99 ms | p99.9 ms |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| session, 1024 B | 500 | 500 | 1,500 | 1.00 | 2.35 | 10.00 |
| session, 1024 B, codec zstd | 500 | 500 | 1,500 | 1.00 | 2.35 | 10.00 |

Full batches of 256 KiB of these records pack so: zstd of 1024 B to NN %.

Failed: direct-100, because QUEUE_FULL: too many.
`,
    );
  });

  it('says only what failed when nothing else is there', () => {
    expect(produceTables([], [{ name: 'batches-100', why: 'it did' }])).toBe('Failed: batches-100, because it did.\n');
  });
});
