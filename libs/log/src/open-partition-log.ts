/** From a partition's directory to its log: recovery, with everything that was opened closed again when it fails. */
import { diskErrorCode } from './disk.ts';
import type { LogDevice } from './log-device.ts';
import { PartitionLog } from './partition-log.ts';
import type { LogEvents, LogSettings } from './log-writer.ts';
import { recoverLog } from './recovery.ts';
import { segmentHome } from './segment.ts';

export interface PartitionLogOptions extends LogEvents {
  readonly device: LogDevice;
  /** The partition's own directory, `<data>/<topic id>/<partition>`; made when missing. */
  readonly dir: string;
  readonly clusterId: string;
  readonly topicId: string;
  readonly partition: number;
  readonly settings: LogSettings;
  /** The broker's clean-shutdown marker was there and names this log: nothing is verified. */
  readonly cleanShutdown: boolean;
  /** Offset below which the log is known to have been durable (checkpoint, clean-shutdown marker). */
  readonly knownSynced?: bigint;
  /** Offset below which records were deleted: the one that was noted durably before the last `trim`. */
  readonly logStart?: bigint;
  /**
   * Told before durable batches are cut where the log will end: no start may be told more as `knownSynced` from when it
   * resolves on (the checkpoint is written anew and says no more until the cut has resolved), or it would take the cut for a
   * loss. Needed by who calls `truncate` or `restart`. What it throws ends the cut before anything has changed.
   */
  readonly onCut?: (endOffset: bigint) => Promise<void>;
  /** Told that the log is suspect before the proof of it is written over; durable when it resolves. */
  readonly onSuspect?: (why: string) => Promise<void>;
}

/** Recovers the log in the directory, or begins an empty one. CORRUPT_BATCH when what was durable is damaged. */
export async function openPartitionLog(options: PartitionLogOptions): Promise<PartitionLog> {
  const { device, dir, clusterId, topicId, partition, settings, cleanShutdown } = options;
  const { knownSynced = 0n, logStart = 0n, onSuspect } = options;
  const names = await makeDurableDirectory(device, dir);
  const home = segmentHome(device, dir, { clusterId, topicId, partition });
  try {
    const recovered = await recoverLog(home, names, {
      cleanShutdown,
      knownSynced,
      flush: settings.flush,
      logStart,
      ...(onSuspect === undefined ? {} : { onSuspect }),
    });
    return new PartitionLog(home, options, recovered);
  } catch (error) {
    await device.files.closeWithin(dir);
    throw error;
  }
}

/**
 * Makes the directory if it is missing, and the names of it and of the topic's above it durable. Returns the names of the
 * files in it.
 */
async function makeDurableDirectory({ disk, directories }: LogDevice, directory: string): Promise<string[]> {
  try {
    const names = await disk.list(directory);
    // Without files it may have been made by a program that was killed before the names above it were durable.
    if (names.length > 0) return names;
  } catch (error) {
    if (diskErrorCode(error) !== 'ENOENT') throw error;
    await disk.makeDirectory(directory);
  }
  const parent = directory.slice(0, directory.lastIndexOf('/'));
  await directories.sync(parent);
  await directories.sync(parent.slice(0, parent.lastIndexOf('/')) || '/');
  return [];
}
