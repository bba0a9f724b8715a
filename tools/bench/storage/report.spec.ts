import { describe, expect, it } from 'vitest';
import { storageHeader, storageTables } from './report.ts';
import type { StorageReport } from './report.ts';
import { STORAGE_ROWS } from './rows.ts';

const FACTS = {
  date: '2001-01-01',
  version: '0.1.0',
  node: 'v24.0.0',
  cpu: 'Some CPU',
  coreCount: 2,
  memoryBytes: 8 * 2 ** 30,
  rounds: 7,
  seconds: 0.5,
  fileSystem: 'ext4',
};

function reported(name: string, median: number): StorageReport {
  const row = STORAGE_ROWS.find((candidate) => candidate.name === name)!;
  const side = { recordsPerSecond: 20_000, bytesPerSecond: 5e6 };
  const ratio = { median, lowest: 0.25, highest: 0.75 };
  return { row, figures: { ours: side, raw: { recordsPerSecond: 1e6, bytesPerSecond: 1e7 }, ratio } };
}

describe('the storage report', () => {
  it('states machine, file system, workload and method', () => {
    const header = storageHeader(FACTS);
    const parts = [
      'Some CPU, 2 cores, 8 GiB',
      'ext4',
      '32 threads',
      '1 KiB',
      '8 MiB unsynced',
      '128 MiB',
      '1,000 logs',
    ];
    for (const part of [...parts, '7 rounds of 0.5 s', 'target of append and read is 0.70']) {
      expect(header).toContain(part);
    }
  });

  it('says of each row with a target whether it is reached, and names those that miss it', () => {
    const rows = [reported('append-os-4k', 0.699), reported('append-os-rolls', 0.1), reported('read-1m', 0.7)];
    expect(storageTables(rows)).toBe(
      `| row | ours MB/s | raw MB/s | ours / raw | target |
| --- | ---: | ---: | ---: | ---: |
| append, flush=os, batches of 4k | 5.0 | 10.0 | **0.70** (0.25 to 0.75) | missed |
| append, flush=os, batches of 64k, with rolls | 5.0 | 10.0 | **0.10** (0.25 to 0.75) |  |
| read, batches of 1m | 5.0 | 10.0 | **0.70** (0.25 to 0.75) | reached |

Below 0.70: append, flush=os, batches of 4k.
`,
    );
    expect(storageTables([reported('read-4k', 1)])).toContain('Every row with a target reaches 0.70.');
  });

  it('gives dirty partitions as the time of a turn, and codecs as both directions', () => {
    expect(storageTables([reported('dirty-journal', 0.5), reported('codec-lz4-1k', 0.5)])).toBe(
      `| 1,000 dirty partitions beside | ours ms | raw ms | raw / ours in time |
| --- | ---: | ---: | ---: |
| one file with one sync, and their own files unsynced | 50.0 | 1.0 | **0.50** (0.25 to 0.75) |

A shared journal would answer after 1.0 ms instead of 50.0 ms; it writes the bytes twice and syncs every file later all the same. docs/adr/0006 says what follows from it.

| codec and record | encode records/s | encode MB/s | decode records/s | decode MB/s |
| --- | ---: | ---: | ---: | ---: |
| lz4, 1k | 20,000 | 5.0 | 1,000,000 | 10.0 |
`,
    );
  });
});

describe('the storage rows', () => {
  it('have names of their own', () => {
    expect(new Set(STORAGE_ROWS.map(({ name }) => name)).size).toBe(STORAGE_ROWS.length);
  });
});
