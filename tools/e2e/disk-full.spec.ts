/**
 * A disk that fills up: first to the broker's reserve, where appends are refused and all else goes on; then to the last
 * byte, by somebody else's file. What was acknowledged is there, and once there is room again appends go on by themselves.
 */
import { execFile } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { PartitaError } from '@partita/domain';
import { PartitionState } from '@partita/protocol';
import type { Topic } from '@partita/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { loggedErrors, newHome, startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { LoopDisk, whyNoLoopDisk } from './loop-disk.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';
import { Ledger } from './writers.ts';

/** Large enough for the topic of the consumer groups, whose segments have the default size, to be made at the start. */
const DISK_MIB = 512;
const MIB = 1024 * 1024;
const RECORD_CHARS = 200_000;
const SEGMENT_BYTES = MIB;
/** Slow enough for the broker, which looks at the free space once a second, to see its reserve before it is used up. */
const PAUSE_MS = 80;
/** Left free by the ballast when a test begins: the reserve (5 % of the disk) and some room. */
const ROOM_MIB = 34;
const RESERVE_MIB_LEFT = 16;
/** Time on the full disk: several checkpoints. */
const FULL_MS = 3000;
/** Deadline of appends that wait for room on a disk that shall stay full. */
const REFUSED_MS_MAX = 2000;

const reason = await whyNoLoopDisk();

if (reason !== undefined) {
  it.skip('a full disk is not tested', ({ skip }) => skip(reason));
} else {
  describe('a disk that fills up', suite);
}

function suite(): void {
  const home = newHome();
  const folder = join(home, 'broker-1');
  const ballast = join(folder, 'ballast');
  const ledger = new Ledger('filling', 1, { paddingChars: RECORD_CHARS });
  let disk: LoopDisk | undefined;
  let cluster: Cluster;
  let api: Api;
  let topic: Topic;

  const start = async (): Promise<void> => {
    cluster = await startCluster({ brokers: 1, home });
    api = new Api(cluster);
  };
  beforeAll(async () => {
    disk = await LoopDisk.create({ mountPoint: folder, mib: DISK_MIB });
    await start();
    topic = await until('the topic', 20, () =>
      api.createTopic(ledger.topic, 1, { segmentBytes: BigInt(SEGMENT_BYTES) }),
    );
  });
  afterAll(async () => {
    try {
      api.close();
      await cluster.killEverything();
      await disk?.dispose();
      // Each test looks at the log itself.
      await cluster.dispose([/ENOSPC/]);
    } finally {
      await disk?.dispose(); // also when there never was a cluster
      rmSync(home, { recursive: true, force: true });
    }
  });
  afterEach(() => rmSync(ballast, { force: true }));

  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  };
  /** A file of somebody else takes all but so many bytes. */
  const fillBut = async (bytes: number): Promise<void> => {
    rmSync(ballast, { force: true });
    const length = freeBytes() - Math.max(bytes, MIB);
    await promisify(execFile)('fallocate', ['--length', String(length), ballast]);
    if (bytes === 0) fillUp(ballast);
  };
  const next = ledger.writer();
  /** Appends a record at the leader; what is refused for certain is struck from the books, which find it when stored. */
  const send = async (deadlineMs?: number): Promise<string> => {
    const record = next();
    const outcome = await api
      .append(topic, 0, [record], deadlineMs)
      .catch((error: unknown) => (error instanceof PartitaError ? error.reason : String(error)));
    if (outcome === 'stored') ledger.acked.add(record.value);
    if (outcome === 'STORAGE_FULL') ledger.sent.delete(record.value);
    return outcome;
  };
  const untilTaken = (): Promise<true> =>
    until('a record to be taken', 20, async () => {
      expect(await send()).toBe('stored');
      return true;
    });
  /** The ready file alone would not tell of a broker that died and cannot start again. */
  const stillRun = (pids: readonly number[]): void => {
    expect(pids.filter(isAlive)).toEqual(pids);
    expect(cluster.servicePids).toEqual(pids);
  };

  it('is refused further records when only the reserve is left; reads go on, and appends when there is room', async () => {
    await untilTaken();
    await fillBut(ROOM_MIB * MIB);
    const pids = cluster.servicePids;
    let outcome = '';
    for (let count = 0; count < 200 && outcome !== 'STORAGE_FULL'; count += 1) {
      outcome = await send();
      expect(outcome).toBeOneOf(['stored', 'STORAGE_FULL']);
      await sleep(PAUSE_MS);
    }
    expect(outcome).toBe('STORAGE_FULL');
    const acked = ledger.acked.size;
    expect(freeBytes()).toBeGreaterThan(0);
    for (let count = 0; count < 5; count += 1) expect(await send()).toBe('STORAGE_FULL');
    await ledger.check(api);
    expect(ledger.acked.size).toBe(acked);

    rmSync(ballast);
    await untilTaken();
    await ledger.check(api);
    stillRun(pids);
    expect(loggedErrors(home)).toEqual([]);
    figure('storage', 'full disk: records acknowledged before STORAGE_FULL', acked);
  });

  const untilRefused = (): Promise<true> =>
    until('an append to be refused', 40, async () => {
      expect(await send(REFUSED_MS_MAX)).toBe('STORAGE_FULL');
      return true;
    });

  /** Kills everything on a disk with so much left: the broker starts, serves, and takes records when there is room. */
  const restartWith = async (bytes: number): Promise<void> => {
    await untilTaken();
    await fillBut(bytes);
    await untilRefused();
    api.close();
    await cluster.killEverything();
    await start();
    await until('the partition to be led', 8, async () => {
      const { state } = await api.partition(ledger.topic, 0);
      return state === PartitionState.PARTITION_STATE_ONLINE;
    });
    await ledger.check(api);
    await untilRefused();
    rmSync(ballast);
    await untilTaken();
    await ledger.check(api);
    expect(loggedErrors(home)).toEqual([]);
  };

  it('may be full to the last byte: the broker lives, reads go on, and appends when there is room', async () => {
    const pids = cluster.servicePids;
    await untilTaken();
    // Appends that are under way meet ENOSPC: the broker saw room a moment ago.
    await fillBut(0);
    const outcomes: Promise<string>[] = [];
    for (let end = performance.now() + FULL_MS; performance.now() < end; await sleep(PAUSE_MS)) outcomes.push(send());
    expect(freeBytes()).toBeLessThan(MIB);
    stillRun(pids);
    await ledger.check(api);

    rmSync(ballast);
    for (const outcome of await Promise.all(outcomes)) {
      expect(outcome).toBeOneOf(['stored', 'STORAGE_FULL', 'OUTCOME_UNKNOWN']);
    }
    await untilTaken();
    await ledger.check(api);
    stillRun(pids);
    expect(loggedErrors(home)).toEqual([]);
  });

  it('lets a killed broker start when it has less than its reserve', () => restartWith(RESERVE_MIB_LEFT * MIB));

  it('lets a killed broker start when nothing is left', () => restartWith(0));
}

/** Appends to the file until the disk takes nothing more. */
function fillUp(path: string): void {
  const file = openSync(path, 'a');
  try {
    for (let bytes = 64 * 1024; bytes >= 1024; bytes /= 2) while (fits(file, Buffer.alloc(bytes, 1))) continue;
  } finally {
    closeSync(file);
  }
}

function fits(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
