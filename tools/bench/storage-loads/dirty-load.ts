/** A batch to each of many partitions until all are synced, beside the same bytes in one file with one sync. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createNodeDisk } from '@partita/log';
import type { LogDevice } from '@partita/log';
import type { Sample } from '../sample.ts';
import type { DirtyRow } from '../storage/rows.ts';
import { DIRTY_BATCH_BYTES, DIRTY_PARTITION_COUNT, SEGMENT_BYTES } from '../storage/workload.ts';
import { logDevice, openLog } from './open-log.ts';
import type { OpenLog } from './open-log.ts';
import { repeatPasses } from './passes.ts';
import { fullBatch, stampAt } from './stamped-batches.ts';
import type { StorageLoad, StorageSide } from './storage-load.ts';

/** As many partitions as are dirty at once, each with the batch that is appended to it again and again. */
interface DirtyLogs {
  readonly logs: readonly OpenLog[];
  readonly batches: readonly Buffer[];
}

export class DirtyLoad implements StorageLoad {
  readonly #device: LogDevice;
  readonly #synced: DirtyLogs;
  /** The logs that the other side writes without a sync; undefined when it writes the one file only. */
  readonly #unsynced: DirtyLogs | undefined;
  readonly #shared: FileHandle;
  #sharedBytes = 0;

  private constructor(
    place: { readonly device: LogDevice; readonly shared: FileHandle },
    synced: DirtyLogs,
    unsynced: DirtyLogs | undefined,
  ) {
    this.#device = place.device;
    this.#shared = place.shared;
    this.#synced = synced;
    this.#unsynced = unsynced;
  }

  static async create(row: DirtyRow, directory: string): Promise<DirtyLoad> {
    const device = await logDevice(createNodeDisk(), directory);
    const shared = await open(`${directory}/shared`, 'wx+');
    const synced = await openLogs(device, `${directory}/synced`, 'fsync');
    const unsynced = row.pagesToo ? await openLogs(device, `${directory}/unsynced`, 'os') : undefined;
    return new DirtyLoad({ device, shared }, synced, unsynced);
  }

  run(side: StorageSide, seconds: number): Promise<Sample> {
    return repeatPasses(seconds, () => (side === 'ours' ? measureTurn(this.#synced, []) : this.#shareFile()));
  }

  async close(): Promise<void> {
    const logs = [...this.#synced.logs, ...(this.#unsynced?.logs ?? [])];
    await Promise.all(logs.map(({ log }) => log.close({ clean: false })));
    await this.#shared.close();
    this.#device.space.close();
  }

  #shareFile(): Promise<Sample> {
    const logs = this.#unsynced ?? { logs: [], batches: this.#synced.batches };
    return measureTurn(logs, [
      async () => {
        const { bytesWritten } = await this.#shared.writev([...logs.batches], this.#sharedBytes);
        await this.#shared.datasync();
        this.#sharedBytes += bytesWritten;
      },
    ]);
  }
}

async function openLogs(device: LogDevice, directory: string, flush: 'fsync' | 'os'): Promise<DirtyLogs> {
  const logs: OpenLog[] = [];
  const settings = { flush, segmentBytesMax: SEGMENT_BYTES };
  for (let partition = 0; partition < DIRTY_PARTITION_COUNT; partition += 1) {
    logs.push(await openLog(device, { directory, partition }, settings));
  }
  return { logs, batches: logs.map(() => fullBatch(DIRTY_BATCH_BYTES)) };
}

/** One batch to each log, and what else is done meanwhile, until all is done. Stamping comes before and does not count. */
async function measureTurn({ logs, batches }: DirtyLogs, meanwhile: readonly (() => Promise<void>)[]): Promise<Sample> {
  logs.forEach(({ log }, partition) => {
    const batch = batches[partition];
    if (batch !== undefined) stampAt(batch, partition, log.logEnd);
  });
  const startMs = performance.now();
  const others = meanwhile.map((work) => work());
  const appends = logs.map(({ log, syncedTo }, partition) => {
    const batch = batches[partition];
    if (batch !== undefined) log.append(batch);
    return syncedTo(log.logEnd);
  });
  await Promise.all([...others, ...appends]);
  const durationMs = performance.now() - startMs;
  const bytes = batches.reduce((sum, batch) => sum + batch.length, 0);
  return { recordCount: batches.length, bytes, durationMs };
}
