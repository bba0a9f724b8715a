/** Follower logs whose batches leave holes: everything that reads them agrees with a model, whatever happened between. */
import { lastOffsetAt } from '@partita/batch';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { inspectPartition } from './inspection/partition-inspection.ts';
import type { PartitionLog } from './partition-log.ts';
import { scrubLog } from './scrub.ts';
import { DIRECTORY, LogBench, makeBatch, readAll, TOPIC_ID } from './testing/log-fixture.ts';

interface Stored {
  readonly base: bigint;
  readonly next: bigint;
  readonly bytes: Buffer;
}

/** A follower's log and what it must hold. */
class Follower {
  readonly bench: LogBench;
  batches: Stored[] = [];
  log!: PartitionLog;

  constructor(segmentBytesMax: number) {
    this.bench = new LogBench({ segmentBytesMax });
  }

  get end(): bigint {
    return this.batches.at(-1)?.next ?? 0n;
  }

  async open(): Promise<void> {
    this.log = await this.bench.open({ knownSynced: this.end });
    expect(this.log.suspect).toBeUndefined();
    expect(this.log.cutBytes).toBe(0);
    this.check();
  }

  /** Appends batches with the given distances to the one before, all in one write. */
  async append(gaps: readonly number[], recordCount: number): Promise<void> {
    for (const gap of gaps) {
      const bytes = makeBatch({ base: this.log.logEnd + BigInt(gap), recordCount, valueBytes: 200 });
      const base = this.log.logEnd + BigInt(gap);
      this.batches.push({ base, next: lastOffsetAt(bytes, 0) + 1n, bytes });
      this.log.appendReplicated(bytes);
    }
    await this.bench.durable(this.end, this.log);
    this.check();
  }

  async cut(to: bigint): Promise<void> {
    await this.log.truncate(to);
    this.batches = this.batches.filter(({ base }) => base < to);
    this.check();
  }

  check(): void {
    expect(this.log.logEnd).toBe(this.end);
    expect(this.log.syncedEnd).toBe(this.end);
  }

  /** Every way of reading it. */
  async read(): Promise<void> {
    expect((await readAll(this.log, 700)).equals(Buffer.concat(this.batches.map(({ bytes }) => bytes)))).toBe(true);
    for (let offset = 0n; offset < this.end; offset += 3n) {
      const next = this.batches.find((batch) => batch.next > offset);
      const { bytes } = await this.log.read(offset, this.end, 1);
      expect(bytes.equals(next?.bytes ?? Buffer.alloc(0))).toBe(true);
      const timed = this.batches.find(({ base }) => 1000n + base >= 1000n + offset);
      expect(await this.log.offsetForTime(1000n + offset)).toBe(timed?.base);
    }
    await scrubLog(this.log, () => Promise.resolve(true));
  }

  async verify(): Promise<void> {
    const bad: string[] = [];
    await inspectPartition({
      disk: this.bench.disk,
      directory: DIRECTORY,
      expected: {
        topicId: TOPIC_ID,
        partition: 3,
        knownSynced: this.end,
        closedClean: false,
        flush: 'fsync',
        deep: true,
      },
      report: ({ severity, message }) => {
        if (severity === 'damage') bad.push(message);
        return Promise.resolve();
      },
      onBytes: () => undefined,
    });
    expect(bad).toEqual([]);
  }
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      gaps: fc.array(fc.nat(4), { minLength: 1, maxLength: 6 }),
      records: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('open' as const), clean: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: fc.nat(1000), place: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('roll' as const) }) },
);

it('holes of any size, anywhere, are read over, cut in, verified and found again', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 12 }),
      fc.constantFrom(800, 3000, 100_000),
      async (steps, bytesMax) => {
        const follower = new Follower(bytesMax);
        await follower.open();
        for (const one of steps) {
          if (one.kind === 'append') await follower.append(one.gaps, one.records);
          else if (one.kind === 'roll') await follower.log.roll();
          else if (one.kind === 'cut') {
            const number = one.at % (follower.batches.length + 1);
            const batch = follower.batches[number];
            const before = follower.batches[number - 1]?.next ?? 0n;
            const base = batch?.base ?? follower.end;
            // The start of a batch, or within the hole before it.
            await follower.cut([base, (before + base) / 2n, before][one.place] ?? base);
          } else {
            await follower.log.close({ clean: one.clean });
            await follower.open();
          }
        }
        await follower.read();
        await follower.verify();
      },
    ),
    { numRuns: 150 },
  );
});

it('a batch that is missing from the middle of a segment written by a leader is damage', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 30, { valueBytes: 5000 });
  await log.close({ clean: false });
  const path = `${DIRECTORY}/${'0'.padStart(20, '0')}.log`;
  const length = batches[3]!.length;
  bench.disk.tamper(path, (bytes) =>
    Buffer.concat([bytes.subarray(0, 111 + 3 * length), bytes.subarray(111 + 4 * length)]),
  );
  await expect(bench.open()).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});

it('a segment file that is gone from between sparse ones is damage', async () => {
  const follower = new Follower(1500);
  await follower.open();
  for (let count = 0; count < 12; count += 1) await follower.append([2, 1], 1);
  await follower.log.close({ clean: false });
  const logs = (await follower.bench.disk.list(DIRECTORY)).filter((name) => name.endsWith('.log'));
  expect(logs.length).toBeGreaterThan(3);
  await follower.bench.disk.unlink(`${DIRECTORY}/${logs[1]}`);
  const log = await follower.bench.open();
  await expect(readAll(log)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});
