import { describe, expect, it } from 'vitest';
import { soakTables } from './report.ts';
import type { SoakSample } from './samples.ts';

const MIB = 1024 * 1024;

function samplesOf(count: number, growthMib: number): SoakSample[] {
  return Array.from({ length: count }, (_, index) => ({
    atMs: index * 10_000,
    lagRecords: index === 30 ? 1234 : 5,
    services: {
      gateway: {
        residentBytes: (100 + index * growthMib) * MIB,
        heapBytes: 30 * MIB,
        descriptorCount: 40,
        loopDelayMs: 11,
        turnCount: index * 500,
        lateTurnCount: 100 + index,
      },
    },
  }));
}

describe('the report of a soak', () => {
  it('says that it was flat, what was sent, and how it went in a few lines', () => {
    const sent = { recordCount: 1_800_000, perSecond: 1000, latencyMs: { p50: 1, p99: 2, p999: 3 } };
    const text = soakTables({ samples: samplesOf(180, 0), sent, why: undefined });
    expect(text).toContain('It ran for 29.8 minutes, 180 samples. Memory and descriptors are flat');
    expect(text).toContain('1,800,000 records were acknowledged, 1,000 a second, none refused');
    expect(text).toContain('| gateway | 100 → 100 | 0 | 30 → 30 | 40 → 40 | 11.0 | 11.0 | 0.20 % | flat |');
    expect(text).toContain('| 5.8 | 100 | 1,234 | 11.0 |');
    expect(text.split('\n').filter((line) => line.startsWith('| ')).length).toBe(2 + 2 + 1 + 30);
  });

  it('says what grew, and why it ended early', () => {
    const text = soakTables({ samples: samplesOf(60, 1), why: 'it was interrupted' });
    expect(text).toContain('**Ended early**, after 9.8 minutes, 60 samples: it was interrupted.');
    expect(text).toContain('**Not as it should be**: gateway: memory grew.');
    expect(text).toContain('| 118 → 154 | 360 |');
  });

  it('judges nothing by a few samples', () => {
    expect(soakTables({ samples: samplesOf(3, 1), why: undefined })).toContain('too few to judge');
  });
});
