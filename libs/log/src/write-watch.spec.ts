import { describe, expect, it } from 'vitest';
import { AppendQueue } from './append-queue.ts';
import { LogBench, makeBatch } from './testing/log-fixture.ts';
import { WriteWatch } from './write-watch.ts';
import type { WriteTiming } from './write-watch.ts';

describe('how a batch became durable', () => {
  it.each([
    ['fsync', true],
    ['os', false],
  ] as const)('is told to who asks, with flush=%s', async (flush, isSynced) => {
    const watch = new WriteWatch();
    const bench = new LogBench({ flush });
    const log = await bench.open({ watch });
    const told: WriteTiming[] = [];
    let bytes = 0;
    for (const base of [0n, 1n, 2n]) {
      const batch = makeBatch({ base });
      bytes += batch.length;
      log.append(batch);
      if (base === 1n) watch.add(batch, (timing) => told.push(timing));
    }
    await bench.durable(3n, log);
    // All three went in one write.
    const atMs = bench.time.nowMs;
    expect(told).toEqual([{ isSynced, batchCount: 3, bytes, beganAtMs: atMs, endedAtMs: atMs }]);
    expect(watch.isEmpty).toBe(true);
    await log.close({ clean: true });
  });

  it('is not told of a batch that leaves the queue unwritten, and nothing is kept of it', () => {
    const watch = new WriteWatch();
    const queue = new AppendQueue(watch);
    const batches = [0n, 1n, 2n].map((base) => makeBatch({ base }));
    const told: number[] = [];
    for (const [index, batch] of batches.entries()) {
      queue.push(batch);
      watch.add(batch, () => told.push(index));
    }
    queue.dropFrom((batch) => batch === batches[1] || batch === batches[2]);
    watch.written(batches, { isSynced: true, batchCount: 3, bytes: 1, beganAtMs: 0, endedAtMs: 0 });
    expect({ told, isEmpty: watch.isEmpty }).toEqual({ told: [0], isEmpty: true });
  });
});
