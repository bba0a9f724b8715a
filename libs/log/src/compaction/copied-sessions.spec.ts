/** What a replica that copies a compacted log knows of producer sessions: where each goes on, and no wrong place. */
import { BATCH_DATA, BatchBuilder, batchesIn, CODEC_NONE, headerSeed, stampBatch } from '@partita/batch';
import { PRODUCER_EXPIRY_MS, PRODUCER_REPEAT_MS_MAX } from '@partita/domain';
import type { ProducerEntry } from '@partita/domain';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { PartitionLog } from '../partition-log.ts';
import { inspectPartition } from '../inspection/partition-inspection.ts';
import { DIRECTORY, LogBench, readAll, TOPIC_ID } from '../testing/log-fixture.ts';
import { compactSegments } from './compact-segments.ts';
import { planCompaction } from './compaction-rules.ts';

const SEED = headerSeed(TOPIC_ID, 3);
const HOOKS = { monotonicMs: () => 0, wait: () => Promise.resolve(), hashSeed: 7 };
/** No batch may be repeated any more, so compaction leaves none alone. */
const LATER_MS = PRODUCER_REPEAT_MS_MAX + 1;

class Sender {
  readonly #bench: LogBench;
  readonly #log: PartitionLog;
  readonly #next = new Map<number, bigint>();

  constructor(bench: LogBench, log: PartitionLog) {
    this.#bench = bench;
    this.#log = log;
  }

  /** The next batch of the session; 0 is none. */
  async send(session: number, keys: readonly string[], appendTimeMs = 10_000n): Promise<void> {
    const builder = new BatchBuilder();
    for (const key of keys) builder.tryAdd({ key: Buffer.from(key), value: Buffer.alloc(40), timestampMs: 1000n });
    const firstSequence = this.#next.get(session) ?? 0n;
    this.#next.set(session, firstSequence + BigInt(keys.length));
    const producer = { producerId: Buffer.alloc(16, session), producerEpoch: 0, firstSequence };
    const batch = builder.build({ codec: CODEC_NONE, ...(session === 0 ? {} : producer) });
    const log = this.#log;
    stampBatch(batch, { baseOffset: log.logEnd, leaderEpoch: 1, appendTimeMs }, SEED);
    log.append(batch);
    await this.#bench.durable(log.logEnd, log);
  }
}

async function compact(bench: LogBench, log: PartitionLog, nowMs = 10_000 + LATER_MS): Promise<boolean> {
  const limits = { lagMs: 0, tombstoneDelayMs: Infinity, bytesPerSecondMax: undefined };
  const plan = await planCompaction(log, { nowMs, highWatermark: log.syncedEnd, ...limits });
  if (plan === undefined) return false;
  const result = await compactSegments(bench.disk, plan, HOOKS);
  return log.adopt({ plan, result, tombstoneDelayMs: Infinity, clockIsTrusted: true });
}

async function copyOf(source: PartitionLog): Promise<PartitionLog> {
  const bench = new LogBench({ segmentBytesMax: 400 });
  const log = await bench.open();
  for (let from = 0n; from < source.logEnd;) {
    const { bytes, nextOffset } = await source.readToCopy(from, source.logEnd, 1);
    log.appendReplicated(bytes);
    from = nextOffset;
  }
  await bench.durable(source.logEnd, log);
  return log;
}

/** What `partita log verify` finds wrong with the files. */
async function damagesOf(bench: LogBench, log: PartitionLog): Promise<string[]> {
  const found: string[] = [];
  await inspectPartition({
    disk: bench.disk,
    directory: DIRECTORY,
    expected: {
      ...{ topicId: TOPIC_ID, partition: 3, knownSynced: log.syncedEnd, closedClean: false },
      ...{ flush: 'fsync', deep: true },
    },
    report: ({ severity, message }) => {
      if (severity === 'damage') found.push(message);
      return Promise.resolve();
    },
    onBytes: () => undefined,
  });
  return found;
}

/** Offsets of the batches that are there, and how many records each has. */
async function batchesOf(log: PartitionLog): Promise<string[]> {
  const lines: string[] = [];
  for (const { header } of batchesIn(await readAll(log))) {
    if (header.type === BATCH_DATA) lines.push(`${header.baseOffset}x${header.recordCount}`);
  }
  return lines;
}

const lastOf = ({ producerId, producerEpoch, batches }: ProducerEntry) => {
  const last = batches.at(-1);
  return { producerId, producerEpoch, lastSequence: last?.lastSequence, appendTimeMs: last?.appendTimeMs };
};

it('the last batch of a session stays without its records, until it is no longer the last or the session is forgotten', async () => {
  const bench = new LogBench({ segmentBytesMax: 400 });
  const log = await bench.open();
  const sender = new Sender(bench, log);
  await sender.send(1, ['a', 'b']);
  await sender.send(1, ['a', 'b']);
  await sender.send(2, ['a']);
  for (let number = 0; number < 4; number += 1) await sender.send(0, ['a', 'b']);
  expect(await compact(bench, log)).toBe(true);
  const kept = ['2x0', '4x0'];
  expect((await batchesOf(log)).slice(0, 2)).toEqual(kept);
  expect(await damagesOf(bench, log)).toEqual([]);
  expect((await copyOf(log)).state.producers.sessions.map(lastOf)).toEqual(log.state.producers.sessions.map(lastOf));
  await sender.send(1, ['c']);
  for (let number = 0; number < 4; number += 1) await sender.send(0, ['a', 'b']);
  expect(await compact(bench, log)).toBe(true);
  expect((await batchesOf(log))[0]).toBe('4x0');
  for (let number = 0; number < 4; number += 1) await sender.send(0, ['a', 'c'], 10_001n + BigInt(PRODUCER_EXPIRY_MS));
  expect(log.state.producers.sessions).toEqual([]);
  expect(await compact(bench, log, 10_001 + PRODUCER_EXPIRY_MS)).toBe(true);
  expect((await batchesOf(log)).filter((line) => line.endsWith('x0'))).toEqual([]);
});

it('a copy goes on with each session where the log does, and gives no repeated batch a place that it does not have', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        session: fc.nat(4),
        keys: fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 1, arbitrary: fc.constant('compact' as const) },
  );
  let emptied = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), async (steps) => {
      const bench = new LogBench({ segmentBytesMax: 400 });
      const log = await bench.open();
      const sender = new Sender(bench, log);
      for (const each of steps) {
        if (each === 'compact') await compact(bench, log);
        else await sender.send(each.session, each.keys);
      }
      await compact(bench, log);
      emptied += (await batchesOf(log)).filter((line) => line.endsWith('x0')).length;
      const copy = await copyOf(log);
      const truth = log.state.producers.sessions;
      const known = copy.state.producers.sessions;
      expect(known.map(lastOf)).toEqual(truth.map(lastOf));
      for (const { producerId, batches } of known) {
        const right = truth.find((session) => session.producerId === producerId)?.batches ?? [];
        for (const batch of batches) {
          const original = right.find(
            ({ firstSequence, recordsCrc }) => firstSequence === batch.firstSequence && recordsCrc === batch.recordsCrc,
          );
          if (original?.lastSequence === batch.lastSequence) expect(batch.baseOffset).toBe(original.baseOffset);
        }
      }
    }),
    { numRuns: 60 },
  );
  expect(emptied).toBeGreaterThan(0);
});
