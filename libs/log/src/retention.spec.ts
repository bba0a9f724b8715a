import { expect, it } from 'vitest';
import type { PartitionLog } from './partition-log.ts';
import { isActiveOld, retentionStart } from './retention.ts';
import type { RetentionRules } from './retention.ts';
import { DIRECTORY, LogBench, makeBatch, readAll } from './testing/log-fixture.ts';

const NO_RULES: RetentionRules = {
  ageMsMax: Infinity,
  bytesMax: Infinity,
  nowMs: 10_000,
  highWatermark: 1000n,
  segmentCountMax: 100,
};

/** Batches of 1000 bytes, three in a segment; appended at 5000 + offset, with the timestamps 1000 + offset. */
async function tenSegments(): Promise<{ bench: LogBench; log: PartitionLog }> {
  const bench = new LogBench({ segmentBytesMax: 3600 });
  const log = await bench.open();
  await bench.fill(log, 30, { valueBytes: 1000 });
  expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual([0n, 3n, 6n, 9n, 12n, 15n, 18n, 21n, 24n, 27n]);
  return { bench, log };
}

it('deletes the records below a trim at once, their files when a whole segment is gone', async () => {
  const { bench, log } = await tenSegments();
  const before = log.bytes;
  await log.trim(7n);
  expect(log.logStart).toBe(7n);
  expect(log.segments[0]?.baseOffset).toBe(6n);
  expect(log.bytes).toBeLessThan(before * 0.85);
  await expect(log.read(6n, 30n, 100)).rejects.toMatchObject({ reason: 'OFFSET_OUT_OF_RANGE' });
  expect((await log.read(7n, 30n, 1)).nextOffset).toBe(8n);
  await log.trim(3n);
  expect(log.logStart).toBe(7n);
  const names = await bench.disk.list(DIRECTORY);
  expect(names.filter((name) => name.startsWith('00000000000000000003'))).toEqual([]);
  bench.disk.crash();
  const again = await bench.open({ logStart: 7n });
  expect(again.logStart).toBe(7n);
  expect(again.logEnd).toBe(30n);
});

it('can be trimmed to its end, and goes on from there', async () => {
  const { bench, log } = await tenSegments();
  await log.trim(30n);
  expect(log.segments.length).toBe(1);
  expect([log.logStart, log.logEnd]).toEqual([30n, 30n]);
  const [batch] = await bench.fill(log, 1);
  expect(await readAll(log)).toEqual(batch);
});

it('finishes at the start what a crash left of a trim, whichever files it kept', async () => {
  for (let kept = 0; kept < 8; kept += 1) {
    const { bench, log } = await tenSegments();
    bench.disk.crash();
    // The files go one by one, and the names may survive a power cut in any order.
    const doomed = [0n, 3n, 6n].filter((_, index) => (kept & (1 << index)) === 0);
    for (const base of doomed) await bench.disk.unlink(`${DIRECTORY}/${String(base).padStart(20, '0')}.log`);
    const again = await bench.open({ logStart: 9n });
    expect([again.logStart, again.logEnd, again.suspect]).toEqual([9n, 30n, undefined]);
    expect(again.segments[0]?.baseOffset).toBe(9n);
    expect(again.epochHistory).toEqual(log.epochHistory);
  }
});

it('reads that a trim overtakes find their records or learn that they are gone', async () => {
  const { log } = await tenSegments();
  const readings = Array.from({ length: 30 }, (_, offset) => log.read(BigInt(offset), 30n, 10));
  const trimming = log.trim(15n);
  const outcomes = await Promise.allSettled(readings);
  await trimming;
  outcomes.forEach((outcome, offset) => {
    if (outcome.status === 'fulfilled') expect(outcome.value.nextOffset).toBe(BigInt(offset) + 1n);
    else {
      expect(offset).toBeLessThan(15);
      expect(outcome.reason).toMatchObject({ reason: 'OFFSET_OUT_OF_RANGE' });
    }
  });
});

it('lets go of segments whose records and append times are both too old', async () => {
  const { log } = await tenSegments();
  // The last of the first three segments was appended at 5008.
  expect(await retentionStart(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 6009 })).toBe(9n);
  expect(await retentionStart(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 6002 })).toBeUndefined();
  expect(await retentionStart(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 9999, highWatermark: 8n })).toBe(6n);
  expect(await retentionStart(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 9999, segmentCountMax: 2 })).toBe(6n);
  expect(await retentionStart(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 9999 })).toBe(27n);
});

it('keeps records with timestamps ahead of the clock', async () => {
  const bench = new LogBench({ segmentBytesMax: 2500 });
  const log = await bench.open();
  for (const timestampMs of [1n, 50_000n, 1n, 1n, 1n]) {
    log.append(makeBatch({ base: log.logEnd, valueBytes: 1000, timestampMs }));
  }
  await bench.durable(5n, log);
  expect(await retentionStart(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 20_000 })).toBeUndefined();
});

it('lets go of the oldest segments while at least the limit is left', async () => {
  const { log } = await tenSegments();
  const segment = log.segments[0]?.size ?? 0;
  const limit = (bytesMax: number) => retentionStart(log, { ...NO_RULES, bytesMax });
  expect(await limit(log.bytes)).toBeUndefined();
  expect(await limit(log.bytes - segment + 1)).toBeUndefined();
  expect(await limit(log.bytes - segment)).toBe(3n);
  expect(await limit(segment)).toBe(27n);
});

it('has the active segment closed when it is all that is left, and old', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 3);
  expect(await isActiveOld(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 6002 })).toBe(false);
  expect(await isActiveOld(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 6003 })).toBe(true);
  expect(await isActiveOld(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 6003, highWatermark: 2n })).toBe(false);
  await log.roll();
  expect(log.segments.length).toBe(2);
  await log.roll();
  expect(log.segments.length).toBe(2);
  expect(await retentionStart(log, { ...NO_RULES, ageMsMax: 1000, nowMs: 6003 })).toBe(3n);
});

it('begins a new segment when the first batch of the active one is too old, and when its settings change', async () => {
  const bench = new LogBench({ segmentAgeMsMax: 10_000 });
  const log = await bench.open();
  bench.time.nowMs = 5000;
  await bench.fill(log, 2);
  expect(log.segments.length).toBe(1);
  bench.time.nowMs = 15_000;
  expect(log.activeAgeMs).toBe(10_000);
  await bench.fill(log, 1);
  expect(log.segments.length).toBe(2);
  log.changeSettings({ segmentBytesMax: 200, segmentAgeMsMax: Infinity, flush: 'fsync' });
  await bench.fill(log, 2);
  expect(log.segments.length).toBe(4);
});

it('rolls in the middle of a stream of appends', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  let rolled = false;
  const rolling = log.roll().then(() => (rolled = true));
  for (let count = 0; count < 50; count += 1) {
    log.append(makeBatch({ base: log.logEnd }));
    await new Promise(setImmediate);
  }
  const second = log.roll();
  log.append(makeBatch({ base: log.logEnd }));
  await Promise.all([rolling, second]);
  expect(rolled).toBe(true);
  await bench.durable(51n, log);
  expect(log.segments.length).toBeGreaterThan(1);
  expect((await readAll(log)).length).toBeGreaterThan(51 * 128);
});
