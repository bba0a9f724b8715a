import { PARTITION_QUEUE_COUNT_MAX } from '@partita/domain';
import { expect, it } from 'vitest';
import { LogBench, makeBatch, readAll, DIRECTORY } from './testing/log-fixture.ts';

it('numbers, writes and reads back batches', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = [makeBatch({ base: 0n, recordCount: 3 }), makeBatch({ base: 3n, epoch: 2 })];
  for (const batch of batches) log.append(batch);
  expect(log.logEnd).toBe(4n);
  expect(log.syncedEnd).toBe(0n);
  await bench.durable(4n, log);
  expect(await log.read(0n, 4n, 1_000_000)).toEqual({ bytes: Buffer.concat(batches), nextOffset: 4n });
  expect((await log.read(2n, 4n, 1)).bytes).toEqual(batches[0]);
  expect((await log.read(3n, 4n, 1)).bytes).toEqual(batches[1]);
  expect(log.epochHistory).toEqual([
    { epoch: 1, startOffset: 0n, unclean: false },
    { epoch: 2, startOffset: 3n, unclean: false },
  ]);
  expect(log.lastAppendTimeMs).toBe(5003n);
  await log.close({ clean: false });
});

it('hands out whole batches below the end offset only, and nothing at the end', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const [first] = await bench.fill(log, 2, { recordCount: 5 });
  expect(await log.read(0n, 9n, 1_000_000)).toEqual({ bytes: first, nextOffset: 5n });
  expect(await log.read(5n, 9n, 1_000_000)).toEqual({ bytes: Buffer.alloc(0), nextOffset: 5n });
  expect(await log.read(10n, 20n, 1_000_000)).toEqual({ bytes: Buffer.alloc(0), nextOffset: 10n });
});

it('refuses offsets outside of the log with its range', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 2);
  const outOfRange = { reason: 'OFFSET_OUT_OF_RANGE', metadata: { start: '0', end: '2' } };
  await expect(log.read(3n, 9n, 100)).rejects.toMatchObject(outOfRange);
  await expect(log.read(-1n, 9n, 100)).rejects.toMatchObject(outOfRange);
});

it('shares one fsync between all that is appended while another is under way', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const before = bench.disk.counts.get('datasync') ?? 0;
  log.append(makeBatch({ base: 0n }));
  await new Promise(setImmediate);
  for (let base = 1n; base <= 200n; base += 1n) log.append(makeBatch({ base }));
  await bench.durable(201n, log);
  expect((bench.disk.counts.get('datasync') ?? 0) - before).toBe(2);
  expect(bench.synced).toEqual([1n, 201n]);
});

it('does not sync with flush=os until it closes', async () => {
  const bench = new LogBench({ flush: 'os' });
  const log = await bench.open();
  const before = bench.disk.counts.get('datasync') ?? 0;
  await bench.fill(log, 5);
  expect(bench.disk.counts.get('datasync') ?? 0).toBe(before);
  expect(await log.close({ clean: true })).toBe(true);
  bench.disk.crash();
  const again = await bench.open({ cleanShutdown: true, knownSynced: 5n });
  expect(again.syncedEnd).toBe(5n);
  expect(again.suspect).toBeUndefined();
});

it('never reads what is written but not synced', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 1);
  log.append(makeBatch({ base: 1n }));
  for (let turn = 0; log.syncedEnd === 1n; turn += 1) {
    const { nextOffset } = await log.read(1n, 99n, 1000);
    expect(nextOffset).toBeLessThanOrEqual(log.syncedEnd);
    expect(turn).toBeLessThan(100);
    await new Promise(setImmediate);
  }
  expect((await log.read(1n, 99n, 1000)).nextOffset).toBe(2n);
});

it('begins a new segment before one grows too large, and reads across', async () => {
  const bench = new LogBench({ segmentBytesMax: 10_000 });
  const log = await bench.open();
  const batches = await bench.fill(log, 50, { valueBytes: 1000 });
  const logs = (await bench.disk.list(DIRECTORY)).filter((name) => name.endsWith('.log'));
  expect(logs.length).toBe(7);
  for (const name of logs)
    expect((await bench.disk.readFile(`${DIRECTORY}/${name}`)).length).toBeLessThanOrEqual(10_000);
  expect((await readAll(log)).equals(Buffer.concat(batches))).toBe(true);
  expect((await readAll(log, 1)).equals(Buffer.concat(batches))).toBe(true);
});

it('gives a batch that is larger than a segment one of its own', async () => {
  const bench = new LogBench({ segmentBytesMax: 10_000 });
  const log = await bench.open();
  const batches = [...(await bench.fill(log, 1)), ...(await bench.fill(log, 1, { valueBytes: 100_000 }))];
  batches.push(...(await bench.fill(log, 1)));
  expect((await readAll(log, 10)).equals(Buffer.concat(batches))).toBe(true);
});

it('refuses an append when the queue is full, before anything changes', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  for (let base = 0n; base < BigInt(PARTITION_QUEUE_COUNT_MAX); base += 1n) log.append(makeBatch({ base }));
  const end = log.logEnd;
  expect(() => log.append(makeBatch({ base: end, epoch: 9 }))).toThrow(
    expect.objectContaining({ reason: 'QUEUE_FULL' }),
  );
  expect(log.logEnd).toBe(end);
  expect(log.lastEpoch).toBe(1);
  await bench.durable(end, log);
  log.append(makeBatch({ base: end }));
  await bench.durable(end + 1n, log);
});

it('refuses batches that are not stamped for this place', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 1, { epoch: 5 });
  expect(() => log.append(makeBatch({ base: 0n }))).toThrow('ends at 1');
  expect(() => log.append(makeBatch({ base: 1n, epoch: 4 }))).toThrow('epoch 4');
  const flipped = makeBatch({ base: 1n, epoch: 5 });
  flipped[20]! ^= 1;
  expect(() => log.append(flipped)).toThrow('stamped');
  expect(() => log.append(makeBatch({ base: 1n, epoch: 5 }).subarray(1))).toThrow('canonical');
  expect(log.logEnd).toBe(1n);
});

it('never writes again after a failed fsync', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 3);
  bench.disk.failNext('datasync', 'EIO');
  log.append(makeBatch({ base: 3n }));
  await log.close({ clean: true }).then((isClean) => expect(isClean).toBe(false));
  expect(bench.failure).toMatchObject({ reason: 'STORAGE_FAILED' });
  expect(bench.synced.at(-1)).toBe(3n);
});

it('refuses appends after a failure and still reads what is durable', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 3);
  bench.disk.failNext('datasync', 'EIO');
  log.append(makeBatch({ base: 3n }));
  while (bench.failure === undefined) await new Promise(setImmediate);
  const syncs = bench.disk.counts.get('datasync');
  expect(() => log.append(makeBatch({ base: 4n }))).toThrow(expect.objectContaining({ reason: 'STORAGE_FAILED' }));
  expect(log.syncedEnd).toBe(3n);
  expect((await readAll(log)).equals(Buffer.concat(batches))).toBe(true);
  expect(bench.disk.counts.get('datasync')).toBe(syncs);
});

it.each(['writev', 'datasync'] as const)(
  'keeps what is queued when %s finds the disk full, and goes on',
  async (half) => {
    const bench = new LogBench({ segmentBytesMax: 100_000 });
    const log = await bench.open();
    await bench.fill(log, 3);
    bench.disk.failNext(half, 'ENOSPC');
    log.append(makeBatch({ base: 3n }));
    let error: unknown;
    while (error === undefined) {
      await new Promise(setImmediate);
      try {
        log.append(makeBatch({ base: log.logEnd }));
      } catch (thrown) {
        error = thrown;
      }
    }
    expect(error).toMatchObject({ reason: 'STORAGE_FULL' });
    bench.time.advance(1000);
    await bench.durable(log.logEnd, log);
    expect(bench.failure).toBeUndefined();
    await log.close({ clean: false });
    bench.disk.crash();
    expect((await bench.open()).logEnd).toBe(log.logEnd);
  },
);

it('stops appends while room is left', async () => {
  const bench = new LogBench({ segmentBytesMax: 100_000 });
  const log = await bench.open();
  await bench.fill(log, 3);
  bench.disk.capacityBytes = 150_000;
  bench.time.advance(2000);
  log.append(makeBatch({ base: 3n }));
  await bench.durable(4n, log);
  expect(() => log.append(makeBatch({ base: 4n }))).toThrow(expect.objectContaining({ reason: 'STORAGE_FULL' }));
  bench.disk.capacityBytes = 10_000_000;
  bench.time.advance(2000);
  expect(() => log.append(makeBatch({ base: 4n }))).toThrow();
  await new Promise(setImmediate);
  log.append(makeBatch({ base: 4n }));
  await bench.durable(5n, log);
});

it('finds the first batch at or after a time, across segments', async () => {
  const bench = new LogBench({ segmentBytesMax: 200_000 });
  const log = await bench.open();
  const times: bigint[] = [];
  for (let base = 0n; base < 60n; base += 1n) {
    times.push(base % 7n === 0n ? base : 100n * base);
    log.append(makeBatch({ base, valueBytes: 9000, timestampMs: times.at(-1)! }));
  }
  await bench.durable(60n, log);
  for (let time = 0n; time < 6000n; time += 50n) {
    const first = times.findIndex((timestamp) => timestamp >= time);
    expect(await log.offsetForTime(time)).toBe(first < 0 ? undefined : BigInt(first));
  }
});

it('answers CORRUPT_BATCH for flipped bits in a header or in records, also in a batch that is passed over', async () => {
  for (const at of [10, 200]) {
    const bench = new LogBench({ segmentBytesMax: 10_000 });
    const log = await bench.open();
    await bench.fill(log, 20, { valueBytes: 1000 });
    const path = `${DIRECTORY}/00000000000000000000.log`;
    bench.disk.tamper(path, (content) => {
      content[111 + at]! ^= 4;
      return content;
    });
    await expect(log.read(0n, 20n, 100)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH', metadata: { file: path } });
    expect((await log.read(10n, 20n, 100)).nextOffset).toBe(11n);
  }
});

it('refuses everything once closed', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  await bench.fill(log, 1);
  expect(await log.close({ clean: true })).toBe(true);
  expect(() => log.append(makeBatch({ base: 1n }))).toThrow(expect.objectContaining({ reason: 'SHUTTING_DOWN' }));
  await expect(log.read(0n, 1n, 100)).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
});
