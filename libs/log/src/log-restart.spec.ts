import { BATCH_CLAIM, BatchBuilder, buildControlBatch, CODEC_NONE, headerSeed, stampBatch } from '@partita/batch';
import { NO_PRODUCERS, REQUEST_PRODUCER_EPOCH } from '@partita/domain';
import { FaultyDisk } from '@partita/testkit';
import { expect, it } from 'vitest';
import { inspectPartition } from './inspection/partition-inspection.ts';
import type { PartitionLog } from './partition-log.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';
import type { FirstSnapshot } from './state-before.ts';
import { DIRECTORY, LogBench, makeBatch, readAll, TOPIC_ID } from './testing/log-fixture.ts';

/** A leader whose log begins above 0, and what it hands to a replica that begins there. */
async function leader(): Promise<{ first: FirstSnapshot; log: PartitionLog }> {
  const bench = new LogBench({ segmentBytesMax: 2000 });
  const log = await bench.open();
  const claim = buildControlBatch(BATCH_CLAIM, Buffer.from('the claim'));
  stampBatch(claim, { baseOffset: 0n, leaderEpoch: 1, appendTimeMs: 5000n }, headerSeed(TOPIC_ID, 3));
  log.append(claim);
  const builder = new BatchBuilder();
  builder.tryAdd({ value: Buffer.from('a request'), timestampMs: 1n });
  const framing = {
    producerId: Buffer.alloc(16, 7),
    producerEpoch: REQUEST_PRODUCER_EPOCH,
    firstSequence: 0n,
  } as const;
  const request = builder.build({ codec: CODEC_NONE, ...framing });
  stampBatch(request, { baseOffset: 1n, leaderEpoch: 1, appendTimeMs: 5000n }, headerSeed(TOPIC_ID, 3));
  log.append(request);
  await bench.fill(log, 6, { valueBytes: 500, epoch: 1 });
  await bench.fill(log, 6, { valueBytes: 500, epoch: 4 });
  await log.trim(11n);
  return { first: await log.firstSnapshot(), log };
}

/** The files as the inspection judges them. */
async function damages(bench: LogBench, disk: Pick<LogBench, 'disk'>['disk'], knownSynced: bigint): Promise<string[]> {
  const found: string[] = [];
  await inspectPartition({
    disk,
    directory: DIRECTORY,
    expected: { topicId: TOPIC_ID, partition: 3, knownSynced, closedClean: false, flush: 'fsync', deep: true },
    report: ({ severity, message }) => {
      if (severity === 'damage') found.push(message);
      return Promise.resolve();
    },
    onBytes: () => undefined,
  });
  return found;
}

it('a follower begins again where its leader begins, with the state from there', async () => {
  const { first, log: source } = await leader();
  const bench = new LogBench({ segmentBytesMax: 2000 });
  const log = await bench.open();
  await bench.fill(log, 9, { valueBytes: 500 });
  await log.restart(first.baseOffset, first.content);
  expect([log.logStart, log.syncedEnd, log.logEnd]).toEqual([first.baseOffset, first.baseOffset, first.baseOffset]);
  expect(log.epochHistory).toEqual(source.epochHistory.filter(({ startOffset }) => startOffset < first.baseOffset));
  expect(log.state.claim?.content.toString()).toBe('the claim');
  expect(Buffer.from(log.state.producers.requests.subarray(0, 16))).toEqual(Buffer.alloc(16, 7));
  // It copies what the leader has, from below the leader's log start on.
  expect(first.baseOffset).toBeLessThan(source.logStart);
  for (let from = first.baseOffset; from < source.logEnd;) {
    const { bytes, nextOffset } = await source.readToCopy(from, source.logEnd, 1);
    log.appendReplicated(bytes);
    from = nextOffset;
  }
  await bench.durable(source.logEnd, log);
  expect(log.state.snapshot(0n)).toEqual(source.state.snapshot(0n));
  await log.close({ clean: false });
  // Nobody has noted that the log begins there.
  const again = await bench.open({ knownSynced: source.logEnd });
  expect(again.suspect).toBeUndefined();
  expect([again.logStart, again.logEnd]).toEqual([first.baseOffset, source.logEnd]);
  expect(again.state.snapshot(0n)).toEqual(source.state.snapshot(0n));
  expect(await damages(bench, bench.disk, source.logEnd)).toEqual([]);
});

it('a snapshot that is damaged, of another offset or of a newer release changes nothing', async () => {
  const { first } = await leader();
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 3);
  const damaged = Buffer.from(first.content);
  damaged[40]! ^= 1;
  await expect(log.restart(first.baseOffset, damaged)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
  await expect(log.restart(2n, first.content)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
  const newer = Buffer.from(first.content);
  newer.writeUInt32LE(9, 4);
  await expect(log.restart(first.baseOffset, newer)).rejects.toMatchObject({ reason: 'VERSION_NOT_SUPPORTED' });
  expect((await readAll(log)).equals(Buffer.concat(batches))).toBe(true);
  await bench.fill(log, 1);
});

it('the first snapshot of a log that begins at 0 is empty, one that is gone is missed', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const { baseOffset, content } = await log.firstSnapshot();
  expect(baseOffset).toBe(0n);
  expect(decodeSnapshot(content)).toMatchObject({ epochs: [], producers: NO_PRODUCERS, claim: undefined });
  const { first, log: source } = await leader();
  const again = new LogBench();
  const copy = await again.open();
  await copy.restart(first.baseOffset, first.content);
  await again.disk.unlink(`${DIRECTORY}/${String(first.baseOffset).padStart(20, '0')}.snapshot`);
  await expect(copy.firstSnapshot()).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
  await source.close({ clean: true });
});

it('a trim makes the snapshot of the first segment that stays again while it can', async () => {
  const bench = new LogBench({ segmentBytesMax: 2000 });
  const log = await bench.open();
  await bench.fill(log, 9, { valueBytes: 500 });
  const [, , third] = log.segments;
  await bench.disk.unlink(`${DIRECTORY}/${String(third?.baseOffset).padStart(20, '0')}.snapshot`);
  await log.trim(third?.baseOffset ?? 0n);
  expect((await log.firstSnapshot()).baseOffset).toBe(third?.baseOffset);
});

it.each([40n, 4n])('a crash at any call of a restart at %s leaves the old log or the new one', async (baseOffset) => {
  const { first } = await leader();
  const snapshot = decodeSnapshot(first.content);
  if (snapshot === undefined) throw new Error('a snapshot is intact');
  const epochs = snapshot.epochs.filter(({ startOffset }) => startOffset < baseOffset);
  const content = encodeSnapshot({ ...snapshot, baseOffset, epochs });
  const seen = { old: 0, fresh: 0 };
  for (let seed = 0; seed < 12; seed += 1) {
    for (let call = 1, isOver = false; !isOver; call += 1) {
      const disk = new FaultyDisk({ seed: seed * 1000 + call, onCall: () => undefined });
      const bench = new LogBench({ segmentBytesMax: 2000 });
      const open = async (knownSynced: bigint): Promise<PartitionLog> => {
        const life = disk.start();
        await life.makeDirectory('/data');
        disk.names.sync('/');
        return bench.open({ disk: life, knownSynced });
      };
      const log = await open(0n);
      const batches = await bench.fill(log, 9, { valueBytes: 500 });
      disk.faults.failAt(call, 'power');
      const isDone = await log.restart(baseOffset, content).then(
        () => true,
        () => false,
      );
      isOver = disk.isRunning;
      if (disk.isRunning) disk.cutPower();
      // The power goes once more, somewhere in the start that completes it.
      disk.faults.failAt(1 + ((call * 7 + seed) % 25), 'power');
      const known = bench.lowered.at(-1) ?? 9n;
      await open(known).catch(() => undefined);
      if (disk.isRunning) disk.cutPower();
      disk.faults.calm();
      const again = await open(known);
      expect(again.suspect).toBeUndefined();
      const isNew = again.segments[0]?.baseOffset === baseOffset;
      if (isDone) expect(isNew).toBe(true);
      seen[isNew ? 'fresh' : 'old'] += 1;
      if (isNew) {
        expect([again.logStart, again.logEnd, again.bytes]).toEqual([baseOffset, baseOffset, 111]);
        expect(again.state.snapshot(baseOffset)).toEqual({ ...snapshot, baseOffset, epochs });
      } else expect((await readAll(again)).equals(Buffer.concat(batches))).toBe(true);
      again.appendReplicated(makeBatch({ base: again.logEnd, epoch: 5 }));
      await bench.durable(again.logEnd, again);
      disk.kill();
    }
  }
  expect(seen.old).toBeGreaterThan(10);
  expect(seen.fresh).toBeGreaterThan(10);
});

it('a log that was cut, and whose program ended before the next checkpoint, is not taken for one that lost its end', async () => {
  const bench = new LogBench({ segmentBytesMax: 2000 });
  const log = await bench.open();
  await bench.fill(log, 9, { valueBytes: 500 });
  let checkpoint = log.syncedEnd;
  await log.truncate(4n);
  // Told before the cut, so that the checkpoint that a start finds never knows more.
  checkpoint = bench.lowered.at(-1) ?? checkpoint;
  expect(checkpoint).toBe(4n);
  bench.disk.crash();
  const again = await bench.open({ knownSynced: checkpoint });
  expect(again.suspect).toBeUndefined();
  expect(again.logEnd).toBe(4n);
  // A cut of nothing that was durable tells nobody.
  await again.truncate(4n);
  expect(bench.lowered).toEqual([4n]);
});

it('a cut whose checkpoint cannot be written changes nothing', async () => {
  const bench = new LogBench();
  const log = await bench.open({ onCut: () => Promise.reject(new Error('no checkpoint')) });
  const batches = await bench.fill(log, 5);
  await expect(log.truncate(2n)).rejects.toThrow('no checkpoint');
  await bench.fill(log, 1);
  expect(log.logEnd).toBe(6n);
  expect((await readAll(log)).subarray(0, Buffer.concat(batches).length).equals(Buffer.concat(batches))).toBe(true);
  expect(bench.failure).toBeUndefined();
});
