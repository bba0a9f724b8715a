/** The broker's data directory: its lock, whose it is, what was promised, and how the last run ended. */
import { brokerId, partitionKey } from '@partita/domain';
import type { Clock, Random, Timers } from '@partita/domain';
import {
  createHost,
  createLogDevice,
  createNodeDisk,
  diskErrorCode,
  keepSpareFile,
  lockDirectory,
  openJournal,
  openStorageIdentity,
  readCheckpoint,
  readCleanShutdown,
  releaseSpareFile,
  takeCleanShutdown,
  writeCheckpoint,
  writeCleanShutdown,
} from '@partita/log';
import type {
  CleanShutdown,
  DirectoryLock,
  Disk,
  Journal,
  LogDevice,
  LogWrite,
  PartitionCheckpoint,
  StorageIdentity,
} from '@partita/log';
import type { Logger } from '@partita/runtime';

/** Journal key of the machine's boot id at the last start. */
const BOOT_ID_KEY = 'boot-id';

export interface DataDirectoryOptions {
  readonly dir: string;
  readonly clusterId: string;
  readonly brokerId: number;
  readonly openFileCountMax: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Told of each write to a log. */
  readonly onWritten?: ((write: LogWrite) => void) | undefined;
}

/** How far a log is known to have been durable and committed. */
export interface KnownProgress {
  readonly cleanShutdown: boolean;
  readonly knownSynced: bigint;
  readonly highWatermark: bigint;
}

/** Opens the directory, made if missing. Throws STORAGE_FAILED, WRONG_CLUSTER, INVALID_SETTING, CORRUPT_BATCH. */
export async function openDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  const { dir, logger } = options;
  const disk = createNodeDisk();
  try {
    return await open(disk, options);
  } catch (error) {
    if (diskErrorCode(error) !== 'ENOSPC' || !(await releaseSpareFile(disk, dir))) throw error;
    logger.warn({ dir }, 'the disk is full to the last byte: starting on the room that was kept for this');
    return open(disk, options);
  }
}

async function open(disk: Disk, options: DataDirectoryOptions): Promise<DataDirectory> {
  const { dir, clusterId, clock, timers, random, logger } = options;
  const host = createHost(disk);
  const lock = await lockDirectory({ disk, dir, host });
  try {
    const identity = await openStorageIdentity({ disk, dir, clusterId, brokerId: brokerId(options.brokerId), random });
    const journal = await openJournal({ disk, dir });
    const bootId = (await host.bootId()) ?? '';
    const bootIdBefore = Buffer.from(journal.get(BOOT_ID_KEY) ?? []).toString('utf8');
    // After a clean stop nothing was only in the page cache: noted before the marker goes, which says so.
    if (typeof (await readCleanShutdown(disk, dir)) === 'object') await putBootId(journal, bootId);
    const marker = await takeCleanShutdown(disk, dir);
    const checkpoint = await readCheckpoint(disk, dir);
    if (checkpoint === undefined) logger.warn({ dir }, 'the checkpoint is damaged; it is made again');
    const device = await createLogDevice({
      disk,
      directory: dir,
      clock,
      timers,
      openFileCountMax: options.openFileCountMax,
      onWritten: options.onWritten,
    });
    if (!device.space.isFull(0)) await keepSpareFile(disk, dir);
    const pageCacheLost = marker === undefined && bootIdBefore !== '' && (bootId === '' || bootId !== bootIdBefore);
    return new DataDirectory({
      dir,
      disk,
      lock,
      identity,
      journal,
      device,
      marker,
      bootId,
      pageCacheLost,
      checkpoint: checkpoint ?? new Map(),
    });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function putBootId(journal: Journal, bootId: string): Promise<void> {
  await journal.put(new Map([[BOOT_ID_KEY, Buffer.from(bootId)]]));
}

interface Parts {
  readonly dir: string;
  readonly disk: Disk;
  readonly lock: DirectoryLock;
  readonly identity: StorageIdentity;
  readonly journal: Journal;
  readonly device: LogDevice;
  readonly marker: CleanShutdown | undefined;
  readonly checkpoint: ReadonlyMap<string, PartitionCheckpoint>;
  readonly bootId: string;
  readonly pageCacheLost: boolean;
}

export class DataDirectory {
  readonly dir: string;
  readonly disk: Disk;
  readonly identity: StorageIdentity;
  readonly journal: Journal;
  readonly device: LogDevice;
  readonly bootId: string;
  /** True when the last run stopped in order. */
  readonly isClean: boolean;
  /** The machine was started anew and the broker had not stopped in order. */
  readonly pageCacheLost: boolean;
  readonly #parts: Parts;
  /** Of the last run's checkpoint, what no replica that is open stands for yet. */
  #unopened: readonly PartitionCheckpoint[];

  /** Use openDataDirectory. */
  constructor(parts: Parts) {
    this.dir = parts.dir;
    this.disk = parts.disk;
    this.identity = parts.identity;
    this.journal = parts.journal;
    this.device = parts.device;
    this.bootId = parts.bootId;
    this.isClean = parts.marker !== undefined;
    this.pageCacheLost = parts.pageCacheLost;
    this.#parts = parts;
    this.#unopened = [...parts.checkpoint.values()];
  }

  /** What the last run left to know of a partition. */
  progressOf(topicId: string, partition: number): KnownProgress {
    const key = partitionKey({ topicId, partition });
    const { marker, checkpoint } = this.#parts;
    const saved = checkpoint.get(key);
    const cleanEnd = marker?.logEnds.get(key);
    return {
      cleanShutdown: cleanEnd !== undefined,
      knownSynced: cleanEnd ?? saved?.syncedEnd ?? 0n,
      highWatermark: saved?.highWatermark ?? 0n,
    };
  }

  /** Notes that what a start of the machine cost is known: until then the next start finds it out again. */
  async confirmBoot(): Promise<void> {
    await putBootId(this.journal, this.bootId);
  }

  /**
   * Replaces the checkpoint, durable on return. One call at a time. Lines of replicas that could not be opened stay: they
   * are what the next start judges those by.
   */
  async checkpoint(partitions: readonly PartitionCheckpoint[]): Promise<void> {
    if (this.#unopened.length > 0) {
      const open = new Set(partitions.map(partitionKey));
      this.#unopened = this.#unopened.filter(
        (line) => !open.has(partitionKey(line)) && this.journal.get(`replica/${partitionKey(line)}`) !== undefined,
      );
    }
    await writeCheckpoint(this.disk, this.dir, [...partitions, ...this.#unopened]);
  }

  /** Notes which logs were closed in order. */
  async markClean(logEnds: ReadonlyMap<string, bigint>): Promise<void> {
    const { incarnation } = this.identity;
    try {
      await writeCleanShutdown(this.disk, this.dir, { incarnation, bootId: this.bootId, logEnds });
    } catch (error) {
      // Without room for it the next start verifies.
      if (diskErrorCode(error) !== 'ENOSPC') throw error;
    }
  }

  /** Closes everything and gives the lock back. */
  async close(): Promise<void> {
    await this.journal.close();
    this.device.space.close();
    await this.#parts.lock.release();
  }
}
