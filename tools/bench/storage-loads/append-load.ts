/** Appending to a log, beside `writev` (and `fdatasync`) of the same buffers in the same groups into one file. */
import { open, rm } from 'node:fs/promises';
import { recordCountAt } from '@partita/batch';
import { createNodeDisk } from '@partita/log';
import type { LogDevice } from '@partita/log';
import type { Sample } from '../sample.ts';
import type { AppendRow } from '../storage/rows.ts';
import { BATCH_SIZES, IN_FLIGHT_BYTES, PASS_BYTES, ROLLED_SEGMENT_BYTES, SEGMENT_BYTES } from '../storage/workload.ts';
import { countingDisk } from './counting-disk.ts';
import type { CountingDisk } from './counting-disk.ts';
import { appendAll, logDevice, openLog } from './open-log.ts';
import { repeatPasses } from './passes.ts';
import { stampedBatches } from './stamped-batches.ts';
import type { StorageLoad, StorageSide } from './storage-load.ts';

export class AppendLoad implements StorageLoad {
  readonly #row: AppendRow;
  readonly #directory: string;
  readonly #disk: CountingDisk;
  readonly #device: LogDevice;
  readonly #batches: readonly Buffer[];
  /** Records and bytes of all the batches. */
  readonly #recordCount: number;
  readonly #bytes: number;
  /** How ours grouped the batches in its last pass. */
  #groups: readonly number[] = [];

  private constructor(row: AppendRow, directory: string, disk: CountingDisk, device: LogDevice) {
    this.#row = row;
    this.#directory = directory;
    this.#disk = disk;
    this.#device = device;
    this.#batches = stampedBatches(BATCH_SIZES[row.batchSize], PASS_BYTES);
    this.#recordCount = this.#batches.reduce((sum, batch) => sum + recordCountAt(batch, 0), 0);
    this.#bytes = this.#batches.reduce((sum, batch) => sum + batch.length, 0);
  }

  static async create(row: AppendRow, directory: string): Promise<AppendLoad> {
    const disk = countingDisk(createNodeDisk());
    return new AppendLoad(row, directory, disk, await logDevice(disk.disk, directory));
  }

  run(side: StorageSide, seconds: number): Promise<Sample> {
    return repeatPasses(seconds, () => (side === 'ours' ? this.#append() : this.#write()));
  }

  close(): Promise<void> {
    this.#device.space.close();
    return Promise.resolve();
  }

  async #append(): Promise<Sample> {
    const directory = `${this.#directory}/log`;
    const segmentBytesMax = this.#row.rolls ? ROLLED_SEGMENT_BYTES : SEGMENT_BYTES;
    const log = await openLog(this.#device, { directory, partition: 0 }, { flush: this.#row.flush, segmentBytesMax });
    this.#disk.takeGroups();
    const startMs = performance.now();
    await appendAll(log, this.#batches, IN_FLIGHT_BYTES);
    const durationMs = performance.now() - startMs;
    this.#groups = this.#disk.takeGroups();
    await log.log.close({ clean: false });
    await rm(directory, { recursive: true });
    return this.#sample(durationMs);
  }

  async #write(): Promise<Sample> {
    const path = `${this.#directory}/raw`;
    const file = await open(path, 'wx+');
    const startMs = performance.now();
    let begin = 0;
    let position = 0;
    for (const batchCount of this.#groups) {
      const group = this.#batches.slice(begin, begin + batchCount);
      const { bytesWritten } = await file.writev(group, position);
      if (this.#row.flush === 'fsync') await file.datasync();
      begin += batchCount;
      position += bytesWritten;
    }
    const durationMs = performance.now() - startMs;
    await file.close();
    await rm(path);
    if (position !== this.#bytes) throw new Error(`the plain file took ${position} bytes only`);
    return this.#sample(durationMs);
  }

  #sample(durationMs: number): Sample {
    return { recordCount: this.#recordCount, bytes: this.#bytes, durationMs };
  }
}
