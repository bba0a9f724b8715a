/** Reading a log from start to end, beside plain reads of the same slices of its file and their CRC-32C. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32c } from '@partita/batch';
import { createNodeDisk, SEGMENT_HEADER_BYTES } from '@partita/log';
import type { LogDevice } from '@partita/log';
import type { Sample } from '../sample.ts';
import type { ReadRow } from '../storage/rows.ts';
import { BATCH_SIZES, IN_FLIGHT_BYTES, PASS_BYTES, SEGMENT_BYTES, SLICE_BYTES } from '../storage/workload.ts';
import { appendAll, logDevice, openLog } from './open-log.ts';
import type { OpenLog } from './open-log.ts';
import { repeatPasses } from './passes.ts';
import { stampedBatches } from './stamped-batches.ts';
import type { StorageLoad, StorageSide } from './storage-load.ts';

export class ReadLoad implements StorageLoad {
  readonly #device: LogDevice;
  readonly #log: OpenLog;
  readonly #file: FileHandle;
  readonly #recordCount: number;
  /** Bytes of each slice that ours read in its last pass. */
  #slices: readonly number[] = [];

  private constructor(device: LogDevice, log: OpenLog, file: FileHandle) {
    this.#device = device;
    this.#log = log;
    this.#file = file;
    this.#recordCount = Number(log.log.syncedEnd - log.log.logStart);
  }

  static async create(row: ReadRow, directory: string): Promise<ReadLoad> {
    const device = await logDevice(createNodeDisk(), directory);
    const place = { directory: `${directory}/log`, partition: 0 };
    const log = await openLog(device, place, { flush: 'os', segmentBytesMax: SEGMENT_BYTES });
    await appendAll(log, stampedBatches(BATCH_SIZES[row.batchSize], PASS_BYTES), IN_FLIGHT_BYTES);
    return new ReadLoad(device, log, await open(`${directory}/log/0/${'0'.repeat(20)}.log`, 'r'));
  }

  run(side: StorageSide, seconds: number): Promise<Sample> {
    return repeatPasses(seconds, () => (side === 'ours' ? this.#readLog() : this.#readFile()));
  }

  async close(): Promise<void> {
    await this.#file.close();
    await this.#log.log.close({ clean: false });
    this.#device.space.close();
  }

  async #readLog(): Promise<Sample> {
    const { log } = this.#log;
    const slices: number[] = [];
    const startMs = performance.now();
    let bytes = 0;
    let offset = log.logStart;
    while (offset < log.syncedEnd) {
      const slice = await log.read(offset, log.syncedEnd, SLICE_BYTES);
      slices.push(slice.bytes.length);
      bytes += slice.bytes.length;
      offset = slice.nextOffset;
    }
    const durationMs = performance.now() - startMs;
    this.#slices = slices;
    return { recordCount: this.#recordCount, bytes, durationMs };
  }

  /** A new buffer for each slice, as a reader who keeps what it gets needs it. */
  async #readFile(): Promise<Sample> {
    const startMs = performance.now();
    let position = SEGMENT_HEADER_BYTES;
    for (const length of this.#slices) {
      const buffer = Buffer.allocUnsafe(length);
      const { bytesRead } = await this.#file.read(buffer, 0, length, position);
      if (bytesRead !== length) throw new Error(`a plain read of ${length} bytes took ${bytesRead}`);
      crc32c(buffer);
      position += length;
    }
    const durationMs = performance.now() - startMs;
    return { recordCount: this.#recordCount, bytes: position - SEGMENT_HEADER_BYTES, durationMs };
  }
}
