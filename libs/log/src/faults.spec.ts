/** Faults that the simulation of tools/sim found, each in its smallest form. */
import { FaultyDisk, MemoryDisk } from '@partita/testkit';
import type { DiskCall, DiskErrorCode } from '@partita/testkit';
import { describe, expect, it } from 'vitest';
import { takeCleanShutdown, writeCleanShutdown } from './clean-shutdown.ts';
import type { LogSettings } from './log-writer.ts';
import { openJournal } from './journal.ts';
import type { PartitionLog } from './partition-log.ts';
import { DIRECTORY, LogBench, makeBatch, readAll } from './testing/log-fixture.ts';

/** Seeds decide what a failed call or a power cut leaves behind. */
const SEEDS = Array.from({ length: 40 }, (_, seed) => seed);

/** A log on a faulty disk. `onCall` sees each call; its number counts from the last `arm` on. */
class FaultyBench {
  readonly disk: FaultyDisk;
  readonly bench: LogBench;
  calls: DiskCall[] = [];
  onCall: (call: DiskCall) => void = () => undefined;

  constructor(seed: number, settings: Partial<LogSettings> = {}) {
    this.disk = new FaultyDisk({
      seed,
      onCall: (call) => {
        this.calls.push(call);
        this.onCall(call);
      },
    });
    this.bench = new LogBench(settings);
  }

  async open(knownSynced = 0n): Promise<PartitionLog> {
    const life = this.disk.start();
    await life.makeDirectory('/data');
    this.disk.names.sync('/');
    return this.bench.open({ disk: life, knownSynced });
  }
}

/** Runs the scenario twice: to find the last call that matches, and with the fault at that call. */
async function withFaultAt(
  make: () => FaultyBench,
  matches: (call: DiskCall) => boolean,
  fault: DiskErrorCode | 'power',
  scenario: (bench: FaultyBench, arm: () => void) => Promise<void>,
): Promise<FaultyBench> {
  const dry = make();
  await scenario(dry, () => (dry.calls = []));
  const number = dry.calls.findLastIndex(matches) + 1;
  expect(number).toBeGreaterThan(0);
  const real = make();
  await scenario(real, () => {
    real.disk.faults.failAt(number, fault);
  }).catch(() => undefined);
  return real;
}

describe('a start after a killed program', () => {
  it('makes the names of a segment durable that the program had not', async () => {
    for (const seed of SEEDS) {
      for (let number = 1; number < 16; number += 1) {
        const real = new FaultyBench(seed);
        real.disk.faults.failAt(number, 'EIO');
        await real.open().catch(() => undefined);
        real.disk.faults.calm();
        await real.bench.fill(await real.open(), 3);
        real.disk.cutPower();
        const again = await real.open(3n);
        expect(again.suspect).toBeUndefined();
        expect(again.logEnd).toBe(3n);
      }
    }
  });

  it('removes the clean-shutdown marker for good', async () => {
    const disk = new MemoryDisk();
    await disk.makeDirectory('/d');
    await writeCleanShutdown(disk, '/d', { incarnation: 1, bootId: undefined, logEnds: new Map() });
    disk.failNext('syncDirectory', 'EIO');
    await expect(takeCleanShutdown(disk, '/d')).rejects.toMatchObject({ code: 'EIO' });
    expect(await takeCleanShutdown(disk, '/d')).toBeUndefined();
    disk.crash();
    expect(await takeCleanShutdown(disk, '/d')).toBeUndefined();
  });
});

it('loses and changes nothing for one bit that was wrong on the way of any one reading', async () => {
  const READ_COUNT_MAX = 20;
  for (const seed of SEEDS.slice(0, 10)) {
    for (let number = 0; number < READ_COUNT_MAX; number += 1) {
      const bench = new FaultyBench(seed);
      const batches = await bench.bench.fill(await bench.open(), 4, { valueBytes: 300 });
      bench.disk.kill();
      let left = number;
      bench.onCall = ({ kind, outcome }) => {
        if (kind === 'read') left -= 1;
        bench.disk.rates.readFlip = left === 0 && outcome !== 'read flip' ? 1 : 0;
      };
      if (left === 0) bench.disk.rates.readFlip = 1;
      const first = await bench.open().catch((error: unknown) => error);
      if (first instanceof Error) expect(first).toMatchObject({ reason: 'CORRUPT_BATCH' });
      bench.onCall = () => undefined;
      bench.disk.rates.readFlip = 0;
      bench.disk.kill();
      const log = await bench.open(4n);
      expect(log.suspect).toBeUndefined();
      expect((await readAll(log)).equals(Buffer.concat(batches))).toBe(true);
    }
  }
});

describe('a roll that is asked for', () => {
  it('loses nothing that is appended behind it when it broke off for want of space', async () => {
    let brokenOffCount = 0;
    for (let number = 1; number < 14; number += 1) {
      const real = new FaultyBench(number, { segmentBytesMax: 100_000 });
      const log = await real.open();
      await real.bench.fill(log, 2);
      real.disk.faults.failAt(number, 'ENOSPC');
      await log.roll();
      if (log.segments.length > 1 || real.bench.failure !== undefined) continue;
      brokenOffCount += 1;
      real.bench.time.advance(2000);
      for (let turn = 0; turn < 500; turn += 1) await Promise.resolve();
      await real.bench.fill(log, 2);
      real.disk.kill();
      expect((await real.open(4n)).logEnd).toBe(4n);
    }
    expect(brokenOffCount).toBeGreaterThan(5);
  });
});

describe('a cut', () => {
  it('leaves no segment of a roll that failed for want of space', async () => {
    for (let number = 1; number < 90; number += 1) {
      const real = new FaultyBench(number, { segmentBytesMax: 2000 });
      const log = await real.open();
      real.disk.faults.failAt(number, 'ENOSPC');
      for (let base = 0n; base < 9n && log.logEnd === base; base += 1n) {
        log.append(makeBatch({ base, valueBytes: 700 }));
        for (let turn = 0; turn < 500 && log.syncedEnd <= base; turn += 1) await Promise.resolve();
        if (log.syncedEnd <= base) break;
      }
      const hasFailed = (): boolean => real.bench.failure !== undefined;
      if (log.syncedEnd < 3n || hasFailed()) continue;
      await log.truncate(2n).catch(() => undefined);
      if (log.logEnd !== 2n || hasFailed()) continue;
      real.disk.kill();
      const again = await real.open();
      expect(again.logEnd).toBe(2n);
      expect((await readAll(again)).length).toBeGreaterThan(1400);
    }
  });

  it('with flush=os never makes an index durable that knows more than the log on the device', async () => {
    for (const seed of SEEDS) {
      const real = await withFaultAt(
        () => new FaultyBench(seed, { flush: 'os' }),
        ({ kind, path }) => kind === 'truncate' && path.endsWith('.log'),
        'power',
        async (bench, arm) => {
          const log = await bench.open();
          await bench.bench.fill(log, 8, { valueBytes: 20_000 });
          arm();
          await log.truncate(6n);
        },
      );
      await expect(real.open()).resolves.toBeDefined();
    }
  });

  it('that failed makes no clean stop', async () => {
    const bench = new LogBench();
    const log = await bench.open();
    await bench.fill(log, 4);
    bench.disk.failNext('truncate', 'EIO');
    await expect(log.truncate(2n)).rejects.toMatchObject({ code: 'EIO' });
    expect(await log.close({ clean: true })).toBe(false);
  });
});

it('answers CORRUPT_BATCH for a sealed segment that was shortened', async () => {
  const bench = new LogBench({ segmentBytesMax: 100_000 });
  const log = await bench.open();
  await bench.fill(log, 8, { valueBytes: 40_000 });
  await log.close({ clean: true });
  bench.disk.tamper(`${DIRECTORY}/00000000000000000000.log`, (content) => content.subarray(0, 20_000));
  const again = await bench.open();
  await expect(again.read(1n, 8n, 1000)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});

describe('a journal', () => {
  const DIR = '/d';
  const put = new Map([['promised', Buffer.from('7')]]);

  async function openOn(disk: FaultyDisk): ReturnType<typeof openJournal> {
    const life = disk.start();
    await life.makeDirectory(DIR);
    disk.names.sync('/');
    return openJournal({ disk: life, dir: DIR, bytesMax: 4096 });
  }

  it('is refused when the entry with its whole state is damaged', async () => {
    const disk = new MemoryDisk();
    await disk.makeDirectory(DIR);
    await (await openJournal({ disk, dir: DIR, bytesMax: 4096 })).put(put);
    await openJournal({ disk, dir: DIR, bytesMax: 4096 });
    for (const name of ['meta.journal.0', 'meta.journal.1']) {
      disk.tamper(`${DIR}/${name}`, (content) => {
        content[64 + 30]! ^= 1;
        return content;
      });
    }
    await expect(openJournal({ disk, dir: DIR, bytesMax: 4096 })).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
  });

  it('keeps what it answered when any call of later starts fails, and the power goes then', async () => {
    for (const seed of SEEDS) {
      for (let number = 1; number < 20; number += 1) {
        const disk = new FaultyDisk({ seed });
        await (await openOn(disk)).put(put);
        disk.faults.failAt(number, 'EIO');
        await openOn(disk).catch(() => undefined);
        disk.faults.failAt(1 + (seed % 12), 'power');
        await openOn(disk).catch(() => undefined);
        disk.faults.calm();
        expect((await openOn(disk)).get('promised')).toEqual(Buffer.from('7'));
      }
    }
  });

  it('makes the names of files durable that a killed program had not', async () => {
    for (const seed of SEEDS) {
      for (let number = 1; number < 26; number += 1) {
        const disk = new FaultyDisk({ seed });
        disk.faults.failAt(number, 'EIO');
        await openOn(disk).catch(() => undefined);
        await (await openOn(disk)).put(put);
        disk.cutPower();
        expect((await openOn(disk)).get('promised')).toEqual(Buffer.from('7'));
      }
    }
  });
});
