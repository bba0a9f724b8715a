import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { headerSeed } from '@partita/batch';
import { WRITE_BYTES_MAX } from '@partita/domain';
import { MemoryDisk } from '@partita/testkit';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLogDevice } from './log-device.ts';
import { createNodeDisk } from './node-disk.ts';
import { OffsetIndex } from './offset-index.ts';
import { openPartitionLog } from './open-partition-log.ts';
import type { PartitionLog } from './partition-log.ts';
import { CLUSTER_ID, DIRECTORY, LogBench, makeBatch, ManualTime, readAll, TOPIC_ID } from './testing/log-fixture.ts';

const FIRST_LOG = `${DIRECTORY}/00000000000000000000.log`;
const FIRST_INDEX = `${DIRECTORY}/00000000000000000000.idx`;

it('finds everything that was durable after a power cut', async () => {
  const bench = new LogBench({ segmentBytesMax: 50_000 });
  const log = await bench.open();
  const batches: Buffer[] = [];
  for (const epoch of [1, 1, 4, 7]) batches.push(...(await bench.fill(log, 20, { valueBytes: 1500, epoch })));
  bench.disk.crash();
  const again = await bench.open({ knownSynced: 80n });
  expect(again.suspect).toBeUndefined();
  expect(again.logEnd).toBe(80n);
  expect(again.epochHistory).toEqual(log.epochHistory);
  expect(again.lastAppendTimeMs).toBe(log.lastAppendTimeMs);
  expect((await readAll(again)).equals(Buffer.concat(batches))).toBe(true);
  await bench.fill(again, 5, { epoch: 9 });
  expect(again.epochHistory.at(-1)).toEqual({ epoch: 9, startOffset: 80n, unclean: false });
});

it('reads no batches at a clean start', async () => {
  const bench = new LogBench({ segmentBytesMax: 50_000 });
  const log = await bench.open();
  await bench.fill(log, 40, { valueBytes: 1500, epoch: 3 });
  expect(await log.close({ clean: true })).toBe(true);
  // Damage in the middle of the last segment is not looked at now; reading finds it.
  const last = (await bench.disk.list(DIRECTORY)).filter((name) => name.endsWith('.log')).at(-1)!;
  bench.disk.tamper(`${DIRECTORY}/${last}`, (content) => {
    content[500]! ^= 1;
    return content;
  });
  const again = await bench.open({ cleanShutdown: true, knownSynced: 40n });
  expect(again.logEnd).toBe(40n);
  expect(again.lastEpoch).toBe(3);
  expect(again.lastAppendTimeMs).toBe(log.lastAppendTimeMs);
  await expect(readAll(again)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});

it('cuts a torn tail at every byte of the last two batches', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 4, { recordCount: 2 });
  await log.close({ clean: false });
  const whole = await bench.disk.readFile(FIRST_LOG);
  const two = whole.length - batches[3]!.length - batches[2]!.length;
  for (let length = two; length < whole.length; length += 1) {
    bench.disk.tamper(FIRST_LOG, () => whole.subarray(0, length));
    const again = await bench.open({ knownSynced: 4n });
    const survivors = length >= two + batches[2]!.length ? 3 : 2;
    expect(again.logEnd).toBe(BigInt(2 * survivors));
    expect(again.suspect).toBeUndefined();
    expect((await bench.disk.readFile(FIRST_LOG)).length).toBe(length - again.cutBytes);
    const expected = [...batches.slice(0, survivors), ...(await bench.fill(again, 1))];
    expect((await readAll(again)).equals(Buffer.concat(expected))).toBe(true);
    await again.close({ clean: false });
    bench.disk.tamper(FIRST_LOG, () => whole);
    bench.disk.tamper(FIRST_INDEX, (content) => content.subarray(0, 40));
  }
});

it('refuses a log that lost bytes that were known to be durable, and never cuts it', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 4);
  bench.disk.crash();
  const size = (await bench.disk.readFile(FIRST_LOG)).length;
  bench.disk.tamper(FIRST_LOG, (content) => content.subarray(0, size - 10));
  await expect(bench.open({ knownSynced: 4n })).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
  expect((await bench.disk.readFile(FIRST_LOG)).length).toBe(size - 10);
});

it('opens a log that ends well but too early as suspect', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 4);
  bench.disk.crash();
  bench.disk.tamper(FIRST_LOG, (content) => content.subarray(0, content.length - batches[3]!.length));
  const again = await bench.open({ knownSynced: 4n });
  expect(again.logEnd).toBe(3n);
  expect(again.suspect).toContain('durable up to 4');
});

it('takes a log for suspect when its index knows more than it has', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 6, { valueBytes: 40_000 });
  await log.close({ clean: false });
  const cut = batches[5]!.length + batches[4]!.length;
  bench.disk.tamper(FIRST_LOG, (content) => content.subarray(0, content.length - cut));
  const again = await bench.open();
  expect(again.logEnd).toBe(4n);
  expect(again.suspect).toContain('index knows 6');
});

it('takes any flipped bit of the synced part for damage, wherever it is', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 3, { recordCount: 2 });
  bench.disk.crash(() => true);
  const whole = await bench.disk.readFile(FIRST_LOG);
  for (let at = 0; at < whole.length; at += 7) {
    bench.disk.tamper(FIRST_LOG, () => {
      const copy = Buffer.from(whole);
      copy[at]! ^= 0x10;
      return copy;
    });
    await expect(bench.open({ knownSynced: 6n })).rejects.toMatchObject({
      reason: expect.stringMatching(/CORRUPT_BATCH|VERSION_NOT_SUPPORTED/),
    });
  }
});

it('cuts a torn write though whole batches of it stand behind the tear', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const durable = await bench.fill(log, 2);
  for (let base = 2n; base < 20n; base += 1n) log.append(makeBatch({ base, valueBytes: 3000 }));
  bench.disk.failNext('datasync', 'EIO');
  while (bench.failure === undefined) await new Promise(setImmediate);
  bench.disk.crash((path, page) => !path.endsWith('.log') || page !== 2);
  const again = await bench.open({ knownSynced: 2n });
  expect(again.cutBytes).toBeGreaterThan(30_000);
  expect(again.suspect).toBeUndefined();
  expect((await readAll(again)).subarray(0, durable[0]!.length + durable[1]!.length)).toEqual(Buffer.concat(durable));
  expect(again.logEnd).toBeLessThan(5n);
});

it('refuses a bad batch with a good one later than a write behind it', async () => {
  const bench = new LogBench({ segmentBytesMax: 3 * WRITE_BYTES_MAX });
  const log = await bench.open();
  await bench.fill(log, 6, { valueBytes: 1_000_000 });
  bench.disk.crash(() => true);
  bench.disk.tamper(FIRST_INDEX, () => Buffer.alloc(0));
  bench.disk.tamper(FIRST_LOG, (content) => {
    content[111 + 60]! ^= 1;
    return content;
  });
  await expect(bench.open()).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});

it('does not take a batch inside of a value for a later batch', async () => {
  const bench = new LogBench({ segmentBytesMax: 4 * WRITE_BYTES_MAX });
  const log = await bench.open();
  // The record that is torn holds a batch of a far offset as its value; nothing else follows.
  log.append(makeBatch({ base: 0n, value: makeBatch({ base: 500n, valueBytes: 900_000 }) }));
  await bench.durable(1n, log);
  await log.close({ clean: false });
  bench.disk.tamper(FIRST_INDEX, () => Buffer.alloc(0));
  bench.disk.tamper(FIRST_LOG, (content) => {
    content[content.length - 5]! ^= 1;
    return Buffer.concat([content, Buffer.alloc(WRITE_BYTES_MAX)]);
  });
  const again = await bench.open();
  expect(again.logEnd).toBe(0n);
  expect(again.suspect).toBeUndefined();
});

it('makes an index anew that is missing, short, torn or damaged', async () => {
  const bench = new LogBench({ segmentBytesMax: 300_000 });
  const log = await bench.open();
  const batches = await bench.fill(log, 30, { valueBytes: 20_000 });
  await log.close({ clean: false });
  const damages: ((content: Buffer) => Buffer)[] = [
    () => Buffer.alloc(0),
    (content) => content.subarray(0, 40),
    (content) => content.subarray(0, content.length - 3),
    (content) => Buffer.from(content).fill(9, 50, 55),
    (content) => Buffer.concat([content, Buffer.alloc(100, 7)]),
  ];
  for (const damage of damages) {
    const names = (await bench.disk.list(DIRECTORY)).filter((name) => name.endsWith('.idx'));
    expect(names.length).toBe(3);
    const before = new Map<string, Buffer>();
    for (const name of names) before.set(name, await bench.disk.readFile(`${DIRECTORY}/${name}`));
    for (const name of names) bench.disk.tamper(`${DIRECTORY}/${name}`, damage);
    const again = await bench.open({ knownSynced: 30n });
    expect((await readAll(again)).equals(Buffer.concat(batches))).toBe(true);
    await again.close({ clean: true });
    const name = names[0]!;
    expect(await bench.disk.readFile(`${DIRECTORY}/${name}`)).toEqual(before.get(name));
  }
  for (const name of await bench.disk.list(DIRECTORY)) {
    if (name.endsWith('.idx')) await bench.disk.unlink(`${DIRECTORY}/${name}`);
  }
  expect((await readAll(await bench.open())).equals(Buffer.concat(batches))).toBe(true);
});

it('gets the epochs back when a snapshot is lost, and refuses when all are', async () => {
  const bench = new LogBench({ segmentBytesMax: 10_000 });
  const log = await bench.open();
  for (const epoch of [2, 3, 5]) await bench.fill(log, 10, { valueBytes: 1000, epoch });
  bench.disk.crash();
  const snapshots = (await bench.disk.list(DIRECTORY)).filter((name) => name.endsWith('.snapshot'));
  expect(snapshots.length).toBeGreaterThan(2);
  bench.disk.tamper(`${DIRECTORY}/${snapshots.at(-1)!}`, (content) => content.fill(1, 10, 12));
  await bench.disk.unlink(`${DIRECTORY}/${snapshots.at(-2)!}`);
  const again = await bench.open();
  expect(again.epochHistory).toEqual(log.epochHistory);
  for (const name of await bench.disk.list(DIRECTORY)) {
    if (name.startsWith('00000000000000000000.') || name.endsWith('.snapshot'))
      await bench.disk.unlink(`${DIRECTORY}/${name}`);
  }
  await expect(bench.open()).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});

it('begins a segment anew whose header never got to the device, unless it holds a batch', async () => {
  const bench = new LogBench();
  await (await bench.open()).close({ clean: false });
  // The page was lost, what was written behind it and never acknowledged made the file longer.
  bench.disk.tamper(FIRST_LOG, () => Buffer.alloc(9000));
  const log = await bench.open();
  expect([log.logEnd, log.suspect]).toEqual([0n, undefined]);
  await bench.fill(log, 2);
  await log.close({ clean: false });
  bench.disk.tamper(FIRST_INDEX, () => Buffer.alloc(0));
  bench.disk.tamper(FIRST_LOG, (content) => content.fill(0, 0, 100));
  await expect(bench.open()).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});

it('writes the tail again after an unclean stop with flush=os too, from what the index knows as synced', async () => {
  const bench = new LogBench({ flush: 'os' });
  const log = await bench.open();
  const batches = await bench.fill(log, 3, { valueBytes: 5000 });
  await log.close({ clean: false });
  const before = bench.disk.counts.get('datasync') ?? 0;
  await (await bench.open()).close({ clean: false });
  expect(bench.disk.counts.get('datasync')).toBe(before + 1);
  // Durable from here on: a power cut takes nothing more.
  bench.disk.crash();
  expect((await readAll(await bench.open())).equals(Buffer.concat(batches))).toBe(true);
});

it('survives a power cut at every step of a roll', async () => {
  for (let step = 0; step < 40; step += 1) {
    const bench = new LogBench({ segmentBytesMax: 3000 });
    const log = await bench.open();
    await bench.fill(log, 2, { valueBytes: 1000, epoch: 2 });
    log.append(makeBatch({ base: 2n, valueBytes: 1000, epoch: 4 }));
    for (let turn = 0; turn < step; turn += 1) await new Promise(setImmediate);
    const synced = log.syncedEnd;
    bench.disk.crash((_, page) => (page + step) % 2 === 0);
    const again = await bench.open({ knownSynced: synced });
    expect(again.suspect).toBeUndefined();
    expect(again.logEnd).toBeGreaterThanOrEqual(synced);
    expect(again.lastEpoch).toBe(again.logEnd === 3n ? 4 : 2);
    await bench.fill(again, 4, { valueBytes: 1000, epoch: 6 });
    await readAll(again);
  }
});

it('refuses the log of another cluster or partition', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 1);
  await log.close({ clean: true });
  const device = await createLogDevice({ disk: bench.disk, directory: '/data', clock: bench.time, timers: bench.time });
  const options = {
    device,
    dir: DIRECTORY,
    clusterId: CLUSTER_ID,
    topicId: TOPIC_ID,
    partition: 3,
    settings: bench.settings,
    cleanShutdown: false,
    onSynced: () => undefined,
    onFailed: () => undefined,
  };
  await expect(openPartitionLog({ ...options, clusterId: TOPIC_ID })).rejects.toMatchObject({
    reason: 'WRONG_CLUSTER',
  });
  await expect(openPartitionLog({ ...options, partition: 4 })).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});

it('is cut where asked: within the queue, within a segment, at its start, across segments', async () => {
  for (const cut of [0n, 1n, 7n, 14n, 20n, 29n, 30n]) {
    const bench = new LogBench({ segmentBytesMax: 10_000 });
    const log = await bench.open();
    const batches: Buffer[] = [];
    for (let base = 0n; base < 30n; base += 1n) {
      batches.push(makeBatch({ base, valueBytes: 1000, epoch: 1 + Number(base / 10n) }));
      log.append(batches.at(-1)!);
    }
    if (cut % 2n === 0n) await bench.durable(30n, log);
    const reading = log.read(0n, 30n, 100_000);
    await log.truncate(cut);
    await reading;
    expect(log.logEnd).toBe(cut);
    expect(log.lastEpoch).toBe(cut === 0n ? 0 : 1 + Number((cut - 1n) / 10n));
    expect(log.lastAppendTimeMs).toBe(cut === 0n ? 0n : 5000n + cut - 1n);
    const added = await bench.fill(log, 12, { valueBytes: 1100, epoch: 9 });
    const expected = Buffer.concat([...batches.slice(0, Number(cut)), ...added]);
    expect((await readAll(log)).equals(expected)).toBe(true);
    bench.disk.crash();
    const again = await bench.open();
    expect((await readAll(again)).equals(expected)).toBe(true);
    expect(again.epochHistory).toEqual(log.epochHistory);
  }
});

it('loses nothing that was told as synced, whatever pages a power cut keeps', async () => {
  const plan = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 9000 })), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(
      plan,
      fc.integer({ min: 0, max: 60 }),
      fc.infiniteStream(fc.boolean()),
      async (sizes, turns, keeps) => {
        const bench = new LogBench({ segmentBytesMax: 20_000 });
        const log = await bench.open();
        for (const [recordCount, valueBytes] of sizes) {
          log.append(makeBatch({ base: log.logEnd, recordCount, valueBytes: Math.ceil(valueBytes / recordCount) }));
          if (valueBytes % 3 === 0) await new Promise(setImmediate);
        }
        for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
        const synced = log.syncedEnd;
        const before = await readAll(log);
        bench.disk.crash(() => keeps.next().value === true);
        const again = await bench.open({ knownSynced: synced });
        expect(again.suspect).toBeUndefined();
        expect((await readAll(again)).subarray(0, before.length).equals(before)).toBe(true);
        await again.close({ clean: true });
      },
    ),
    { numRuns: 60 },
  );
});

it('recovers on the disk of this machine too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'partita-log-'));
  const time = new ManualTime();
  const disk = createNodeDisk();
  const open = async (cleanShutdown: boolean): Promise<PartitionLog> =>
    openPartitionLog({
      device: await createLogDevice({ disk, directory, clock: time, timers: time, openFileCountMax: 2 }),
      dir: `${directory}/${TOPIC_ID}/3`,
      clusterId: CLUSTER_ID,
      topicId: TOPIC_ID,
      partition: 3,
      settings: { segmentBytesMax: 100_000, segmentAgeMsMax: Infinity, flush: 'fsync' },
      cleanShutdown,
      onSynced: () => undefined,
      onFailed: (error) => expect.unreachable(error.message),
    });
  try {
    const log = await open(false);
    const batches = Array.from({ length: 100 }, (_, index) => makeBatch({ base: BigInt(index), valueBytes: 5000 }));
    for (const batch of batches) log.append(batch);
    expect(await log.close({ clean: true })).toBe(true);
    for (const cleanShutdown of [true, false]) {
      const again = await open(cleanShutdown);
      expect((await readAll(again)).equals(Buffer.concat(batches))).toBe(true);
      await again.close({ clean: !cleanShutdown });
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

it('keeps index entries through encoding and decoding', () => {
  const entry = fc.record({
    baseOffset: fc.bigInt({ min: 0n, max: 2n ** 62n }),
    maxTimestampMs: fc.bigInt({ min: 0n, max: 2n ** 50n }),
    batchBytes: fc.integer({ min: 128, max: 100_000 }),
    lastOffsetDelta: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    leaderEpoch: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    headerCrc: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  });
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const seed = headerSeed(TOPIC_ID, 3);
      const index = new OffsetIndex(seed);
      let position = 111;
      for (const plan of entries) {
        index.note({ ...plan, position });
        index.complete();
        position += plan.batchBytes;
      }
      const decoded = OffsetIndex.decode(index.encode(), seed);
      expect(decoded.count).toBe(entries.length);
      for (let number = 0; number < entries.length; number += 1) expect(decoded.at(number)).toEqual(index.at(number));
    }),
  );
  expect(new MemoryDisk().has(DIRECTORY)).toBe(false);
});
