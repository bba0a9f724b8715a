import { describe, expect, it } from 'vitest';
import { replicationHeader, replicationTables } from './report.ts';
import { REPLICATION_ROWS } from './rows.ts';

const facts = {
  date: '2001-01-01',
  version: '0.1.0',
  node: 'v24.0.0',
  cpu: 'Some CPU',
  coreCount: 2,
  memoryBytes: 8 * 2 ** 30,
  rounds: 5,
  seconds: 2,
};

describe('the replication report', () => {
  it('states machine, workload and method', () => {
    const header = replicationHeader(facts);
    for (const part of ['Some CPU, 2 cores, 8 GiB', '256 KiB', '6 partitions over 3 brokers', '5 rounds of 2 s']) {
      expect(header).toContain(part);
    }
  });

  it('has a line for each row, with its target where there is one', () => {
    const [factor, , , raw] = REPLICATION_ROWS;
    const figures = {
      ours: { recordsPerSecond: 1000, bytesPerSecond: 5e6 },
      raw: { recordsPerSecond: 2000, bytesPerSecond: 1e7 },
      ratio: { median: 0.5, lowest: 0.25, highest: 0.75 },
    };
    const cpuMsPerMb = { measured: 12.345, against: 3 };
    expect(
      replicationTables([
        { row: factor!, figures, cpuMsPerMb },
        { row: raw!, figures, cpuMsPerMb },
      ]),
    ).toBe(
      `| row | against | MB/s | against MB/s | ratio | target | CPU ms/MB | against ms/MB |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| replication 3, flush=fsync | replication 1, flush=fsync | 5.0 | 10.0 | **0.50** (0.25 to 0.75) |  | 12.35 | 3.00 |
| replication 3, flush=fsync | raw gRPC, the same hops and disks | 5.0 | 10.0 | **0.50** (0.25 to 0.75) | 0.60 | 12.35 | 3.00 |
`,
    );
  });
});
