import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BATCH_CLAIM, BATCH_CONFIG, BATCH_EPOCH_START } from '@partita/batch';
import { brokerId, isUuid, partitionKey } from '@partita/domain';
import { MemoryDisk } from '@partita/testkit';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeCheckpoint, encodeCheckpoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import type { PartitionCheckpoint } from './checkpoint.ts';
import { takeCleanShutdown, writeCleanShutdown } from './clean-shutdown.ts';
import { lockDirectory } from './directory-lock.ts';
import { createHost } from './host.ts';
import { createNodeDisk } from './node-disk.ts';
import { decodeRestartNote, encodeRestartNote } from './restart-note.ts';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';
import { openStorageIdentity } from './storage-identity.ts';

const CLUSTER_ID = '7b0e6d0e-3f7c-4c53-9c5e-0a4f4a1c2b3d';
const OTHER_ID = '0d9f7a34-95a1-4d0c-8a3f-5b1d2c3e4f50';
const random = { next: () => 0.5, uuid: () => OTHER_ID };
const offset = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });

async function makeDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/d');
  return disk;
}

it('makes an identity once and counts the starts', async () => {
  const disk = await makeDisk();
  const options = { disk, dir: '/d', clusterId: CLUSTER_ID, brokerId: brokerId(2), random };
  const first = await openStorageIdentity(options);
  disk.crash();
  const second = await openStorageIdentity({ ...options, random: { ...random, uuid: () => CLUSTER_ID } });
  expect(first).toEqual({ clusterId: CLUSTER_ID, brokerId: 2, dirUuid: OTHER_ID, incarnation: 1 });
  expect(second).toEqual({ ...first, incarnation: 2 });
});

it('refuses the directory of another cluster, broker or a newer release', async () => {
  const disk = await makeDisk();
  const options = { disk, dir: '/d', clusterId: CLUSTER_ID, brokerId: brokerId(2), random };
  await openStorageIdentity(options);
  await expect(openStorageIdentity({ ...options, clusterId: OTHER_ID })).rejects.toMatchObject({
    reason: 'WRONG_CLUSTER',
  });
  await expect(openStorageIdentity({ ...options, brokerId: brokerId(3) })).rejects.toMatchObject({
    reason: 'INVALID_SETTING',
  });
  await disk.writeFileAtomically('/d/storage.json', Buffer.from('{"format_version": 2}'));
  await expect(openStorageIdentity(options)).rejects.toMatchObject({ reason: 'VERSION_NOT_SUPPORTED' });
  await disk.writeFileAtomically('/d/storage.json', Buffer.from('{"cluster'));
  await expect(openStorageIdentity(options)).rejects.toMatchObject({ reason: 'STORAGE_FAILED' });
});

it('locks a directory against living processes only', async () => {
  const disk = await makeDisk();
  const living = new Map([[1, 'monday']]);
  const host = (pid: number): Parameters<typeof lockDirectory>[0]['host'] => ({
    pid,
    startTimeOf: async (other) => living.get(other),
    bootId: async () => undefined,
  });
  const lock = await lockDirectory({ disk, dir: '/d', host: host(1) });
  await expect(lockDirectory({ disk, dir: '/d', host: host(2) })).rejects.toMatchObject({
    reason: 'STORAGE_FAILED',
    metadata: { pid: '1' },
  });
  living.set(1, 'tuesday');
  living.set(2, 'monday');
  const second = await lockDirectory({ disk, dir: '/d', host: host(2) });
  await expect(lockDirectory({ disk, dir: '/d', host: host(1) })).rejects.toMatchObject({ reason: 'STORAGE_FAILED' });
  await second.release();
  await lock.release();
  expect(await disk.list('/d')).toEqual([]);
});

it('locks a real directory, 0700, by this process', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'partita-lock-'));
  try {
    const disk = createNodeDisk();
    const host = createHost(disk);
    const dir = `${directory}/data`;
    const lock = await lockDirectory({ disk, dir, host });
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    await expect(lockDirectory({ disk, dir, host })).rejects.toMatchObject({ metadata: { pid: String(process.pid) } });
    await lock.release();
    await (await lockDirectory({ disk, dir, host })).release();
    expect(await host.startTimeOf(2 ** 30)).toBeUndefined();
    expect(await host.startTimeOf(process.pid)).toBe(await host.startTimeOf(process.pid));
    expect(await host.bootId()).toBe(await host.bootId());
  } finally {
    await rm(directory, { recursive: true });
  }
});

it('gives the clean-shutdown marker once', async () => {
  const disk = await makeDisk();
  const marker = { incarnation: 7, bootId: 'b', logEnds: new Map([[`${OTHER_ID}/3`, 2n ** 60n]]) };
  await writeCleanShutdown(disk, '/d', marker);
  disk.crash();
  expect(await takeCleanShutdown(disk, '/d')).toEqual(marker);
  disk.crash();
  expect(await takeCleanShutdown(disk, '/d')).toBeUndefined();
  await disk.writeFileAtomically(
    '/d/clean-shutdown',
    Buffer.from('{"format_version":1,"incarnation":7,"log_ends":{"a":1}}'),
  );
  expect(await takeCleanShutdown(disk, '/d')).toBeUndefined();
});

it('reads back any checkpoint, and none that is damaged', async () => {
  const line: fc.Arbitrary<PartitionCheckpoint> = fc.record({
    topicId: fc.uuid().filter(isUuid),
    partition: fc.nat(2 ** 31 - 1),
    highWatermark: offset,
    syncedEnd: offset,
    logStart: offset,
  });
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      expect(decodeCheckpoint(encodeCheckpoint(lines))).toEqual(lines);
    }),
  );
  const disk = await makeDisk();
  expect(await readCheckpoint(disk, '/d')).toEqual(new Map());
  const entry = { topicId: OTHER_ID, partition: 1, highWatermark: 3n, syncedEnd: 4n, logStart: 1n };
  await writeCheckpoint(disk, '/d', [entry]);
  expect((await readCheckpoint(disk, '/d'))?.get(partitionKey(entry))).toEqual(entry);
  disk.tamper('/d/checkpoint', (content) => content.fill(9, 20, 21));
  expect(await readCheckpoint(disk, '/d')).toBeUndefined();
});

it('reads back any segment header and snapshot, and none with a flipped bit', () => {
  const id = fc.uuid().filter(isUuid);
  const header = fc.record({
    clusterId: id,
    topicId: id,
    partition: fc.nat(2 ** 31 - 1),
    baseOffset: offset,
    createTimeMs: offset,
    isSparse: fc.boolean(),
  });
  const control = fc.record({
    type: fc.constantFrom(BATCH_EPOCH_START, BATCH_CONFIG, BATCH_CLAIM),
    offset,
    content: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  });
  const producer = fc.record({
    producerId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((id) => Buffer.from(id).toString('hex')),
    producerEpoch: fc.nat(2 ** 31 - 1),
    batches: fc.array(
      fc.record({
        firstSequence: offset,
        lastSequence: offset,
        recordsCrc: fc.nat(2 ** 32 - 1),
        baseOffset: offset,
        appendTimeMs: offset,
      }),
      { minLength: 1, maxLength: 5 },
    ),
  });
  const rows = fc.nat(3).chain((count) => fc.uint8Array({ minLength: 36 * count, maxLength: 36 * count }));
  const snapshot = fc.record({
    baseOffset: offset,
    lastAppendTimeMs: offset,
    dataEnd: offset,
    epochs: fc.uniqueArray(fc.record({ epoch: fc.nat(2 ** 31 - 1), startOffset: offset, unclean: fc.boolean() }), {
      selector: ({ epoch }) => epoch,
    }),
    configs: fc.array(control, { maxLength: 3 }),
    claim: fc.option(control, { nil: undefined }),
    producers: fc.record({ sessions: fc.array(producer, { maxLength: 4 }), requests: rows }),
  });
  const flipped = (bytes: Buffer, at: number): Buffer => {
    bytes[at % bytes.length]! ^= 1;
    return bytes;
  };
  fc.assert(
    fc.property(header, snapshot, fc.nat(), (plan, state, at) => {
      const bytes = encodeSegmentHeader(plan);
      expect(bytes.length).toBe(SEGMENT_HEADER_BYTES);
      expect(decodeSegmentHeader(bytes)).toEqual(plan);
      expect(decodeSegmentHeader(flipped(bytes, at))).toBeUndefined();
      const encoded = encodeSnapshot(state);
      expect(decodeSnapshot(encoded)).toEqual(state);
      expect(decodeSnapshot(flipped(encoded, at))).toBeUndefined();
    }),
  );
});

it('reads the note of a restart as it was written, and never a changed one', () => {
  const note = fc.record({
    baseOffset: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    snapshot: fc.option(
      fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
      { nil: undefined },
    ),
  });
  fc.assert(
    fc.property(note, fc.nat(), (written, at) => {
      const bytes = encodeRestartNote(written);
      expect(decodeRestartNote(bytes)).toEqual(written);
      const changed = Buffer.from(bytes);
      changed[at % changed.length]! ^= 1;
      expect(decodeRestartNote(changed)).toBeUndefined();
    }),
  );
});
