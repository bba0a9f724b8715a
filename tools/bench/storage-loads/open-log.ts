/** Logs on the real disk, opened as a broker opens them, and appends that wait for their sync. */
import { createLogDevice, openPartitionLog } from '@partita/log';
import type { Disk, LogDevice, PartitionLog } from '@partita/log';
import { systemClock, systemTimers } from '@partita/runtime';
import type { Flush } from '../storage/rows.ts';
import { CLUSTER_ID, TOPIC_ID } from './stamped-batches.ts';

/** Keeps all files of the dirty partitions open, as a broker with that many open files would. */
const OPEN_FILE_COUNT_MAX = 4000;

/** A log, and what it told. */
export interface OpenLog {
  readonly log: PartitionLog;
  /** Resolves when everything below the offset is durable; rejects when the log has failed. One waiter at a time. */
  readonly syncedTo: (offset: bigint) => Promise<void>;
}

export function logDevice(disk: Disk, directory: string): Promise<LogDevice> {
  return createLogDevice({
    disk,
    directory,
    clock: systemClock,
    timers: systemTimers,
    openFileCountMax: OPEN_FILE_COUNT_MAX,
  });
}

/** A new log for the partition, below the device's directory. */
export async function openLog(
  device: LogDevice,
  place: { readonly directory: string; readonly partition: number },
  settings: { readonly flush: Flush; readonly segmentBytesMax: number },
): Promise<OpenLog> {
  let failure: Error | undefined;
  let waiting: { offset: bigint; resolve: () => void; reject: (error: Error) => void } | undefined;
  const log = await openPartitionLog({
    device,
    dir: `${place.directory}/${place.partition}`,
    clusterId: CLUSTER_ID,
    topicId: TOPIC_ID,
    partition: place.partition,
    settings: { ...settings, segmentAgeMsMax: Infinity },
    cleanShutdown: false,
    onSynced: (end) => {
      if (waiting === undefined || end < waiting.offset) return;
      waiting.resolve();
      waiting = undefined;
    },
    onFailed: (error) => {
      failure = error;
      waiting?.reject(error);
    },
  });
  return {
    log,
    syncedTo: (offset) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) reject(failure);
        else if (log.syncedEnd >= offset) resolve();
        else waiting = { offset, resolve, reject };
      }),
  };
}

/** Appends all the batches with at most `inFlightBytes` unsynced, and waits until the last is synced. */
export async function appendAll(
  { log, syncedTo }: OpenLog,
  batches: readonly Buffer[],
  inFlightBytes: number,
): Promise<void> {
  for (const batch of batches) {
    // The next sync, whichever it is, makes room.
    while (log.queuedBytes + batch.length > inFlightBytes) await syncedTo(log.syncedEnd + 1n);
    log.append(batch);
  }
  await syncedTo(log.logEnd);
}
