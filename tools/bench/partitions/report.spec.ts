import { describe, expect, it } from 'vitest';
import { Latencies } from '../latencies.ts';
import { partitionsTable, sideOf } from './report.ts';
import type { PartitionsRun } from './report.ts';

function runOf(syncedWrites: number, brokersMs: number): PartitionsRun {
  const latencies = new Latencies();
  latencies.record(performance.now() - syncedWrites / 100);
  return {
    recordCount: 2000,
    bytes: 2_048_000,
    durationMs: 2000,
    latencies: latencies.encode(),
    ...{ syncedWrites, syncedWriteMs: syncedWrites / 2, clientMs: 100, gatewayMs: 200, brokersMs },
  };
}

describe('the partitions report', () => {
  it('has both sides, and how many times as much the many take', () => {
    const many = sideOf(1000, [runOf(6000, 800), runOf(5000, 700), runOf(7000, 900)]);
    const few = sideOf(6, [runOf(3000, 400)]);
    expect(many).toMatchObject({ ackedPerSecond: 1000, syncedWritesPerSecond: 3000, syncedWritesPerRecord: 3 });
    expect(many).toMatchObject({ syncedWriteMs: 0.5, cpuMs: { client: 50, gateway: 100, brokers: 400 } });
    expect(many.latencyMs.p99).toBeGreaterThan(many.latencyMs.p50);
    const lines = partitionsTable(many, few).split('\n');
    expect(lines[2]).toMatch(/^\| 1,000 \| 1,000 \| .* \| 3,000 \| 3\.00 \| 0\.50 \| 50 \| 100 \| 400 \|$/);
    expect(lines[4]).toMatch(
      /^\| many \/ few \| \*\*1\.00\*\* .* \*\*2\.00\*\* \| \*\*2\.00\*\* \| \*\*1\.00\*\* .* \*\*2\.00\*\* \|$/,
    );
  });
});
