/** What all partition logs of one data directory share. Make one per broker, close it after the last log. */
import type { Clock, Timers } from '@partita/domain';
import { DirectorySyncs } from './directory-syncs.ts';
import type { Disk } from './disk.ts';
import { FreeSpace } from './free-space.ts';
import { SyncScheduler } from './group-commit.ts';
import { IndexCache } from './index-cache.ts';
import { OpenFiles } from './open-files.ts';

/** Idle files kept open by one broker unless it says otherwise. */
const OPEN_FILE_COUNT_DEFAULT = 1000;

export interface LogDevice {
  readonly disk: Disk;
  readonly directories: DirectorySyncs;
  readonly clock: Clock;
  readonly scheduler: SyncScheduler;
  readonly files: OpenFiles;
  readonly indexes: IndexCache;
  readonly space: FreeSpace;
  /** Told of each write to a log that went well; without it no time is taken. */
  readonly onWritten: ((write: LogWrite) => void) | undefined;
}

/** One write, of the batches that had queued up. */
export interface LogWrite {
  readonly ms: number;
  readonly batchCount: number;
  readonly bytes: number;
  /** True = the time includes that of the sync: the bytes are on the device. */
  readonly isSynced: boolean;
}

/** Makes the shared part; `directory` must exist. `openFileCountMax` belongs well below `ulimit -n`. */
export async function createLogDevice(options: {
  disk: Disk;
  directory: string;
  clock: Clock;
  timers: Timers;
  openFileCountMax?: number;
  onWritten?: ((write: LogWrite) => void) | undefined;
}): Promise<LogDevice> {
  return {
    disk: options.disk,
    directories: new DirectorySyncs(options.disk),
    clock: options.clock,
    scheduler: new SyncScheduler(),
    files: new OpenFiles(options.disk, options.openFileCountMax ?? OPEN_FILE_COUNT_DEFAULT),
    indexes: new IndexCache(),
    space: await FreeSpace.create(options),
    onWritten: options.onWritten,
  };
}
