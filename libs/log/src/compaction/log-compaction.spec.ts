import { BATCH_DATA, BatchBuilder, batchesIn, CODEC_NONE, decodeBatch, headerSeed, stampBatch } from '@partita/batch';
import type { BatchFraming } from '@partita/batch';
import {
  COMPACTION_WAIT_MS_MAX,
  PRODUCER_REPEAT_MS_MAX,
  REQUEST_EXPIRY_MS,
  REQUEST_PRODUCER_EPOCH,
} from '@partita/domain';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { PartitionLog } from '../partition-log.ts';
import { scrubLog } from '../scrub.ts';
import { DIRECTORY, LogBench, readAll, TOPIC_ID } from '../testing/log-fixture.ts';
import { compactSegments } from './compact-segments.ts';
import { planCompaction } from './compaction-rules.ts';
import type { CompactionRules } from './compaction-rules.ts';

const SEED = headerSeed(TOPIC_ID, 3);
const HOOKS = { monotonicMs: () => 0, wait: () => Promise.resolve(), hashSeed: 7 };

function rules(log: PartitionLog, more: Partial<CompactionRules> = {}): CompactionRules {
  return {
    ...{ nowMs: 20_000, highWatermark: log.syncedEnd, lagMs: 0, tombstoneDelayMs: 1000, bytesPerSecondMax: undefined },
    ...more,
  };
}

/** Appends one record; without a value it is a tombstone. */
async function put(
  bench: LogBench,
  log: PartitionLog,
  key: string,
  value: string | undefined,
  session: Partial<BatchFraming> = {},
): Promise<void> {
  const builder = new BatchBuilder();
  const bytes = value === undefined ? undefined : Buffer.from(value);
  builder.tryAdd({ key: Buffer.from(key), value: bytes, timestampMs: 1000n });
  const batch = builder.build({ codec: CODEC_NONE, ...session });
  const appendTimeMs = BigInt(bench.time.nowMs);
  stampBatch(batch, { baseOffset: log.logEnd, leaderEpoch: 1, appendTimeMs }, SEED);
  log.append(batch);
  await bench.durable(log.logEnd, log);
}

async function compact(bench: LogBench, log: PartitionLog, more: Partial<CompactionRules> = {}): Promise<boolean> {
  const plan = await planCompaction(log, rules(log, more));
  if (plan === undefined) return false;
  const result = await compactSegments(bench.disk, plan, HOOKS);
  return log.adopt({ plan, result, tombstoneDelayMs: 1000, clockIsTrusted: true });
}

/** `offset key=value` of every record that is there. */
async function recordsOf(log: PartitionLog): Promise<string[]> {
  const bytes = await readAll(log);
  const lines: string[] = [];
  for (const { position, header } of batchesIn(bytes)) {
    if (header.type !== BATCH_DATA) continue;
    for (const { offset, key, value } of decodeBatch(bytes, position).records) {
      if (offset < log.logStart) continue;
      lines.push(
        `${offset} ${Buffer.from(key ?? []).toString()}=${value === undefined ? '-' : Buffer.from(value).toString()}`,
      );
    }
  }
  return lines;
}

it('keeps the last value of each key below the active segment, with its offset, and survives any restart', async () => {
  const bench = new LogBench({ segmentBytesMax: 600 });
  const log = await bench.open();
  for (let round = 0; round < 5; round += 1) for (const key of 'abc') await put(bench, log, key, `${round}`);
  expect(await compact(bench, log)).toBe(true);
  const expected = await recordsOf(log);
  // Those of the active segment end nothing yet.
  expect(expected).toEqual(['9 a=3', '10 b=3', '11 c=3', '12 a=4', '13 b=4', '14 c=4']);
  expect(log.logEnd).toBe(15n);
  expect(log.logStart).toBe(0n);
  expect(await compact(bench, log)).toBe(false);
  await scrubLog(log, () => Promise.resolve(true));
  bench.disk.crash();
  const unclean = await bench.open({ knownSynced: 15n });
  expect(unclean.suspect).toBeUndefined();
  expect(await recordsOf(unclean)).toEqual(expected);
  expect(unclean.compaction.cleanedTo).toBe(log.compaction.cleanedTo);
  await unclean.close({ clean: true });
  const clean = await bench.open({ cleanShutdown: true, knownSynced: 15n });
  expect(await recordsOf(clean)).toEqual(expected);
  expect(await clean.offsetForTime(0n)).toBe(9n);
});

it('removes a tombstone once it has stayed for the delay, not before', async () => {
  const bench = new LogBench({ segmentBytesMax: 200 });
  const log = await bench.open();
  bench.time.nowMs = 10_000;
  await put(bench, log, 'a', '1');
  await put(bench, log, 'a', undefined);
  await put(bench, log, 'b', '1');
  await put(bench, log, 'c', '1');
  expect(await compact(bench, log)).toBe(true);
  expect(await recordsOf(log)).toEqual(['1 a=-', '2 b=1', '3 c=1']);
  bench.time.nowMs = 10_900;
  expect(await compact(bench, log, { nowMs: 10_900 })).toBe(false);
  expect(await compact(bench, log, { nowMs: 11_000 })).toBe(true);
  expect(await recordsOf(log)).toEqual(['2 b=1', '3 c=1']);
  expect(await compact(bench, log, { nowMs: 11_500 })).toBe(false);
});

it('leaves a request alone as long as it is remembered', async () => {
  const bench = new LogBench({ segmentBytesMax: 200 });
  const log = await bench.open();
  bench.time.nowMs = 10_000;
  await put(bench, log, 'a', '1');
  await put(bench, log, 'a', '2');
  const request = { producerId: Buffer.alloc(16, 7), producerEpoch: REQUEST_PRODUCER_EPOCH, firstSequence: 0n };
  await put(bench, log, 'a', '3', request);
  await put(bench, log, 'a', '4');
  await put(bench, log, 'a', '5');
  expect(await compact(bench, log, { nowMs: 10_000 + REQUEST_EXPIRY_MS - 1 })).toBe(true);
  expect(await recordsOf(log)).toEqual(['1 a=2', '2 a=3', '3 a=4', '4 a=5']);
  expect(await compact(bench, log, { nowMs: 10_000 + REQUEST_EXPIRY_MS })).toBe(true);
  expect(await recordsOf(log)).toEqual(['3 a=4', '4 a=5']);
});

it('leaves the last batches of a producer session alone as long as they may be repeated', async () => {
  const bench = new LogBench({ segmentBytesMax: 200 });
  const log = await bench.open();
  bench.time.nowMs = 10_000;
  await put(bench, log, 'a', '1');
  await put(bench, log, 'a', '2');
  await put(bench, log, 'a', '3', { producerId: Buffer.alloc(16, 7), producerEpoch: 0, firstSequence: 0n });
  await put(bench, log, 'a', '4');
  await put(bench, log, 'a', '5');
  const { sessions } = log.state.producers;
  expect(await compact(bench, log, { nowMs: 10_000 })).toBe(true);
  // The active segment ends nothing yet, and the pass ended in front of the session's batch.
  expect(await recordsOf(log)).toEqual(['1 a=2', '2 a=3', '3 a=4', '4 a=5']);
  expect(await compact(bench, log, { nowMs: 10_000 + PRODUCER_REPEAT_MS_MAX - 1 })).toBe(false);
  expect(await compact(bench, log, { nowMs: 10_000 + PRODUCER_REPEAT_MS_MAX })).toBe(true);
  expect(await recordsOf(log)).toEqual(['3 a=4', '4 a=5']);
  expect(log.state.producers.sessions).toEqual(sessions);
  expect(sessions).toHaveLength(1);
});

it('leaves alone what is too young, above the high watermark, or not worth it yet', async () => {
  const bench = new LogBench({ segmentBytesMax: 200 });
  const log = await bench.open();
  bench.time.nowMs = 1000;
  for (let count = 0; count < 10; count += 1) await put(bench, log, 'a', `${count}`);
  expect(await planCompaction(log, rules(log, { lagMs: 19_001 }))).toBeUndefined();
  expect((await planCompaction(log, rules(log, { highWatermark: 4n })))?.segments.length).toBe(4);
  const slow = { tombstoneDelayMs: 10 * COMPACTION_WAIT_MS_MAX };
  expect(await compact(bench, log, { ...slow, lagMs: 19_000 })).toBe(true);
  const cleaned = log.compaction.cleanedTo;
  for (let count = 0; count < 30; count += 1) await put(bench, log, `k${count}`, 'x'.repeat(50));
  expect(await compact(bench, log, slow)).toBe(true);
  await put(bench, log, 'a', 'y');
  await put(bench, log, 'a', 'z');
  expect(await compact(bench, log, slow)).toBe(false);
  expect(await compact(bench, log, { ...slow, nowMs: 1001 + COMPACTION_WAIT_MS_MAX })).toBe(true);
  expect(log.compaction.cleanedTo).toBeGreaterThan(cleaned);
});

it('lets readers see the old segments or the new ones, and appends go on', async () => {
  const bench = new LogBench({ segmentBytesMax: 700 });
  const log = await bench.open();
  for (let count = 0; count < 60; count += 1) await put(bench, log, `k${count % 7}`, `${count}`);
  const plan = await planCompaction(log, rules(log));
  const result = await compactSegments(bench.disk, plan!, HOOKS);
  const reading = { isOver: false };
  const reads = Array.from({ length: 8 }, async (_, number) => {
    while (!reading.isOver) {
      const from = BigInt((number * 7) % 60);
      const slice = await log.read(from, log.syncedEnd, 300);
      expect(slice.nextOffset).toBeGreaterThan(from);
      await log.offsetForTime(1000n);
    }
  });
  const appends = (async () => {
    for (let count = 0; count < 20; count += 1) await put(bench, log, 'new', `${count}`);
  })();
  expect(await log.adopt({ plan: plan!, result, tombstoneDelayMs: 1000, clockIsTrusted: true })).toBe(true);
  await appends;
  reading.isOver = true;
  await Promise.all(reads);
  const values = await recordsOf(log);
  expect(new Set(values.filter((line) => line.includes('k')).map((line) => line.split(/[ =]/)[1])).size).toBe(7);
  expect(values.at(-1)).toBe('79 new=19');
});

it('leads a reader over holes, also one at the end of the log', async () => {
  const bench = new LogBench({ segmentBytesMax: 400 });
  const log = await bench.open();
  bench.time.nowMs = 10_000;
  for (let count = 0; count < 12; count += 1) await put(bench, log, `k${count}`, undefined);
  await log.roll();
  expect(await compact(bench, log)).toBe(true);
  bench.time.nowMs = 20_000;
  expect(await compact(bench, log, { nowMs: 20_000 })).toBe(true);
  expect(await recordsOf(log)).toEqual([]);
  for (const from of [0n, 5n, 11n]) {
    expect(await log.read(from, 12n, 1000)).toEqual({ bytes: Buffer.alloc(0), nextOffset: 12n });
  }
  await put(bench, log, 'k0', 'x');
  expect((await log.read(3n, 13n, 1000)).nextOffset).toBe(13n);
  await log.trim(7n);
  await expect(log.read(3n, 13n, 1000)).rejects.toMatchObject({ reason: 'OFFSET_OUT_OF_RANGE' });
});

it('lets no tombstone begin its delay by a clock that is not trusted', async () => {
  const bench = new LogBench({ segmentBytesMax: 200 });
  const log = await bench.open();
  bench.time.nowMs = 1000;
  await put(bench, log, 'a', undefined);
  await put(bench, log, 'b', '1');
  const plan = await planCompaction(log, rules(log));
  const result = await compactSegments(bench.disk, plan!, HOOKS);
  expect(await log.adopt({ plan: plan!, result, tombstoneDelayMs: 1000, clockIsTrusted: false })).toBe(true);
  expect(log.compaction.cleanedTo).toBe(1n);
  // The clock was far behind: by it the delay would be over now.
  expect(await compact(bench, log, { nowMs: 900_000 })).toBe(false);
});

it('gives way to retention that deleted its sources, and leaves no file behind', async () => {
  const bench = new LogBench({ segmentBytesMax: 300 });
  const log = await bench.open();
  for (let count = 0; count < 20; count += 1) await put(bench, log, `k${count % 3}`, `${count}`);
  const plan = await planCompaction(log, rules(log));
  const result = await compactSegments(bench.disk, plan!, HOOKS);
  await log.trim(9n);
  const before = await recordsOf(log);
  expect(await log.adopt({ plan: plan!, result, tombstoneDelayMs: 1000, clockIsTrusted: true })).toBe(false);
  expect(await recordsOf(log)).toEqual(before);
  expect((await bench.disk.list(DIRECTORY)).filter((name) => name.includes('compact'))).toEqual([]);
  expect(await compact(bench, log)).toBe(true);
  expect(log.logStart).toBe(9n);
});

it('expects holes where a damaged note of the compaction no longer says that there are some', async () => {
  const bench = new LogBench({ segmentBytesMax: 500 });
  const log = await bench.open();
  for (let count = 0; count < 30; count += 1) await put(bench, log, `k${count % 4}`, `${count}`);
  await compact(bench, log);
  const expected = await recordsOf(log);
  for (const name of await bench.disk.list(DIRECTORY)) {
    if (name.endsWith('.idx')) await bench.disk.unlink(`${DIRECTORY}/${name}`);
  }
  bench.disk.tamper(`${DIRECTORY}/compaction`, (bytes) => bytes.fill(3, 9, 10));
  for (let starts = 0; starts < 2; starts += 1) {
    const again = await bench.open({ knownSynced: 30n });
    expect(await recordsOf(again)).toEqual(expected);
    expect(again.compaction.cleanedTo).toBe(0n);
  }
});

it('equals the model after any mix of appends, compactions, trims, rolls and power cuts', async () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 12, arbitrary: fc.tuple(fc.constant('put'), fc.nat(6), fc.option(fc.nat(99), { freq: 4 })) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('compact'), fc.nat(3000), fc.constant(0)) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('trim'), fc.nat(100), fc.constant(0)) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('crash'), fc.boolean().map(Number), fc.constant(0)) },
    ),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(steps, fc.infiniteStream(fc.boolean()), async (plan, keeps) => {
      const bench = new LogBench({ segmentBytesMax: 400 });
      let log = await bench.open();
      bench.time.nowMs = 10_000;
      const model: { key: string; value: string | undefined }[] = [];
      for (const [kind, number, value] of plan) {
        if (kind === 'put') {
          const record = { key: `k${number}`, value: typeof value === 'number' ? String(value) : undefined };
          model.push(record);
          await put(bench, log, record.key, record.value);
        } else if (kind === 'compact') {
          bench.time.nowMs += number;
          await compact(bench, log, { nowMs: bench.time.nowMs });
        } else if (kind === 'trim') {
          await log.trim((log.syncedEnd * BigInt(number)) / 200n);
        } else {
          const { logStart, syncedEnd } = log;
          if (number === 1) await log.close({ clean: true });
          bench.disk.crash(() => keeps.next().value === true);
          log = await bench.open({ cleanShutdown: number === 1, knownSynced: syncedEnd, logStart });
        }
        expect(log.logEnd).toBe(BigInt(model.length));
      }
      const there = new Map((await recordsOf(log)).map((line) => [Number(line.split(' ')[0]), line]));
      model.forEach(({ key, value }, offset) => {
        const line = there.get(offset);
        if (line !== undefined) expect(line).toBe(`${offset} ${key}=${value ?? '-'}`);
        const isLast = !model.slice(offset + 1).some((later) => later.key === key);
        const isKept = isLast && value !== undefined && BigInt(offset) >= log.logStart;
        if (isKept) expect(line, `the last value of ${key} at ${offset}`).toBeDefined();
      });
    }),
    { numRuns: 80 },
  );
});
