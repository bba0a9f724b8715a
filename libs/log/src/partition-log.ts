/**
 * The log of one partition on this broker's disk. `append` is synchronous: it checks, gives the batch its place and
 * queues it; log-writer.ts makes it durable and tells `onSynced`.
 *
 * Invariants: logStart <= syncedEnd <= logEnd; offsets are gapless from segment to segment; nothing behind syncedEnd is
 * ever read; after a failed sync nothing is written any more.
 */
import {
  appendTimeMsAt,
  baseOffsetAt,
  batchBytesAt,
  isBatchAt,
  lastOffsetAt,
  leaderEpochAt,
  verifyHeaderCrc,
} from '@partita/batch';
import { BATCH_BYTES_MAX, invariant, PartitaError } from '@partita/domain';
import { diskErrorCode } from './disk.ts';
import type { Disk } from './disk.ts';
import type { EpochHistory, EpochStart } from './epoch-history.ts';
import type { LogDevice } from './log-device.ts';
import { cutLog } from './log-truncation.ts';
import { LogWriter } from './log-writer.ts';
import type { LogEvents, LogSettings } from './log-writer.ts';
import { recoverLog } from './recovery.ts';
import type { RecoveredLog } from './recovery.ts';
import { findTime, readSegment } from './segment-reader.ts';
import type { LogSlice } from './segment-reader.ts';
import { segmentHome } from './segment.ts';
import type { Segment, SegmentHome } from './segment.ts';

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
}

/** Recovers the log in the directory, or begins an empty one. CORRUPT_BATCH when what was durable is damaged. */
export async function openPartitionLog(options: PartitionLogOptions): Promise<PartitionLog> {
  const { device, dir, clusterId, topicId, partition, settings, cleanShutdown, knownSynced = 0n } = options;
  await makeDurableDirectory(device.disk, dir);
  const home = segmentHome(device, dir, { clusterId, topicId, partition });
  const recovered = await recoverLog(home, { cleanShutdown, knownSynced, flush: settings.flush });
  return new PartitionLog(home, options, recovered);
}

/** Makes the directory if it is missing, and the names of it and of the topic's above it durable. */
async function makeDurableDirectory(disk: Disk, directory: string): Promise<void> {
  try {
    await disk.list(directory);
  } catch (error) {
    if (diskErrorCode(error) !== 'ENOENT') throw error;
    await disk.makeDirectory(directory);
    const parent = directory.slice(0, directory.lastIndexOf('/'));
    await disk.syncDirectory(parent);
    await disk.syncDirectory(parent.slice(0, parent.lastIndexOf('/')) || '/');
  }
}

export class PartitionLog {
  /** Why acknowledged batches may be missing from it; undefined when none are. It must not be counted on in elections. */
  readonly suspect: string | undefined;
  /** Bytes of a torn write that recovery cut off. */
  readonly cutBytes: number;
  readonly #home: SegmentHome;
  readonly #settings: LogSettings;
  /** Oldest first, never empty; the last one takes the writes. */
  readonly #segments: Segment[];
  readonly #epochs: EpochHistory;
  readonly #writer: LogWriter;
  #logEnd: bigint;
  #lastAppendTimeMs: bigint;
  #isClosed = false;
  /** Under way while the end of the log is cut off; readers wait for it, nothing may be appended. Never rejects. */
  #cutting: Promise<void> | undefined;
  /** Grows at each cut; a reading that was overtaken by one begins again. */
  #cutCount = 0;

  /** Use openPartitionLog. */
  constructor(home: SegmentHome, options: PartitionLogOptions, recovered: RecoveredLog) {
    this.#home = home;
    this.#settings = options.settings;
    this.#segments = recovered.segments;
    this.#epochs = recovered.epochs;
    this.#writer = new LogWriter(home, options.settings, options, recovered);
    this.#logEnd = this.#writer.active.endOffset;
    this.#lastAppendTimeMs = recovered.lastAppendTimeMs;
    this.suspect = recovered.suspect;
    this.cutBytes = recovered.cutBytes;
  }

  /** First offset that can be read. */
  get logStart(): bigint {
    return this.#segments[0]?.baseOffset ?? 0n;
  }

  /** Offset of the next batch to append; counts what is queued. */
  get logEnd(): bigint {
    return this.#logEnd;
  }

  /** Offset behind the last durable batch; with flush=os behind the last written one. */
  get syncedEnd(): bigint {
    return this.#writer.active.endOffset;
  }

  /** Leader epoch of the last batch, queued ones included; 0 when there never was one. */
  get lastEpoch(): number {
    return this.#epochs.lastEpoch;
  }

  /** Append time of the last batch, queued ones included, milliseconds UTC; 0 when there never was one. */
  get lastAppendTimeMs(): bigint {
    return this.#lastAppendTimeMs;
  }

  /** Every leader epoch and its first offset, queued batches included, oldest first. */
  get epochHistory(): readonly EpochStart[] {
    return this.#epochs.starts;
  }

  /** Bytes appended but not durable. */
  get queuedBytes(): number {
    return this.#writer.queue.bytes;
  }

  /**
   * Takes a stamped canonical batch whose base offset is `logEnd`; the bytes are the log's from here on and must not
   * change. QUEUE_FULL, STORAGE_FULL, STORAGE_FAILED or SHUTTING_DOWN are thrown before anything has changed.
   */
  append(batch: Uint8Array): void {
    this.#checkOpen();
    invariant(this.#cutting === undefined, 'nothing is appended while the log is being cut');
    invariant(
      isBatchAt(batch, 0) && batchBytesAt(batch, 0) === batch.length,
      'what is appended is one canonical batch',
    );
    invariant(
      batch.length <= BATCH_BYTES_MAX,
      () => `a batch has at most ${BATCH_BYTES_MAX} bytes, not ${batch.length}`,
    );
    invariant(verifyHeaderCrc(batch, 0, this.#home.seed), 'an appended batch is stamped for this partition');
    const base = baseOffsetAt(batch, 0);
    invariant(
      base === this.#logEnd,
      () => `a batch at offset ${base} is appended to a log that ends at ${this.#logEnd}`,
    );
    const epoch = leaderEpochAt(batch, 0);
    invariant(epoch >= this.#epochs.lastEpoch, () => `epoch ${epoch} is appended behind ${this.#epochs.lastEpoch}`);
    this.#writer.checkAccepts(batch.length);
    this.#epochs.note(epoch, base);
    this.#logEnd = lastOffsetAt(batch, 0) + 1n;
    this.#lastAppendTimeMs = appendTimeMsAt(batch, 0);
    this.#writer.push(batch);
  }

  /**
   * Durable whole batches of one segment, from the one that holds `fromOffset` on, that end below or at `endOffset`:
   * at most `maxBytes`, but at least one. Empty when there is none yet. Both checksums are verified (CORRUPT_BATCH);
   * outside of logStart..logEnd it is OFFSET_OUT_OF_RANGE.
   */
  async read(fromOffset: bigint, endOffset: bigint, maxBytes: number): Promise<LogSlice> {
    if (fromOffset < this.logStart || fromOffset > this.#logEnd) {
      const start = String(this.logStart);
      const end = String(this.#logEnd);
      throw new PartitaError(
        'OFFSET_OUT_OF_RANGE',
        `offset ${fromOffset} is outside of ${start}..${end}; read from an offset in it, from earliest or from latest`,
        { start, end },
      );
    }
    return this.#uncut(() => this.#readBelow(fromOffset, endOffset, maxBytes));
  }

  /** Base offset of the first durable batch that holds a timestamp at or above the given one; undefined when none. */
  async offsetForTime(timestampMs: bigint): Promise<bigint | undefined> {
    return this.#uncut(async () => {
      for (const segment of [...this.#segments]) {
        const found = await findTime(segment, timestampMs);
        if (found !== undefined) return found;
      }
      return undefined;
    });
  }

  /**
   * Cuts everything from `toOffset` on, which must be where a batch begins, or the end. Queued batches from there on are
   * dropped, those below it are written first (STORAGE_FULL when there is no room for them). Nothing may be appended
   * until it resolves.
   */
  async truncate(toOffset: bigint): Promise<void> {
    this.#checkOpen();
    this.#writer.checkWorks();
    invariant(this.#cutting === undefined, 'a log is cut once at a time');
    invariant(toOffset >= this.logStart && toOffset <= this.#logEnd, `offset ${toOffset} to cut at is in the log`);
    const cut = this.#cutAt(toOffset);
    const settled = cut.then(
      () => undefined,
      () => undefined,
    );
    this.#cutting = settled;
    try {
      await cut;
    } finally {
      this.#cutting = undefined;
    }
  }

  /**
   * Stops appends, writes what is queued (unless the log has failed or the disk is full) and closes the files. With
   * `clean` the index is completed, so that the next start needs to verify nothing; answers whether it is so.
   */
  async close(options: { clean: boolean }): Promise<boolean> {
    if (this.#isClosed) return false;
    this.#isClosed = true;
    await this.#cutting;
    await this.#writer.idle();
    const isWhole = this.#writer.queue.count === 0;
    this.#writer.queue.dropFrom(() => true);
    if (options.clean && isWhole) await this.#writer.active.complete(this.#settings.flush === 'os');
    for (const segment of this.#segments) await segment.close();
    return options.clean && isWhole;
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new PartitaError('SHUTTING_DOWN', "the partition's log is closed; find its leader again and resend");
  }

  async #cutAt(toOffset: bigint): Promise<void> {
    const { queue } = this.#writer;
    await this.#writer.idle(() => {
      queue.dropFrom((batch) => baseOffsetAt(batch, 0) >= toOffset);
      this.#endAt(toOffset > this.syncedEnd ? toOffset : this.syncedEnd);
    });
    this.#writer.checkWorks();
    const waiting = queue.first;
    if (waiting !== undefined) this.#writer.checkAccepts(waiting.length);
    invariant(waiting === undefined, 'the batches below a cut are written before it');
    this.#cutCount += 1;
    try {
      if (toOffset < this.syncedEnd) {
        this.#writer.syncedAppendTimeMs = await cutLog(this.#home, this.#segments, toOffset);
      }
      invariant(this.syncedEnd === toOffset, `the log ends at ${this.syncedEnd} after it was cut at ${toOffset}`);
    } catch (error) {
      this.#writer.fail(error);
      throw error;
    }
    this.#endAt(toOffset);
  }

  /** Forgets what was appended from the offset on, once it is neither queued nor on disk. */
  #endAt(offset: bigint): void {
    const { queue, syncedAppendTimeMs } = this.#writer;
    this.#logEnd = offset;
    this.#lastAppendTimeMs = queue.last === undefined ? syncedAppendTimeMs : appendTimeMsAt(queue.last, 0);
    this.#epochs.truncate(offset);
  }

  /** Runs a reading outside of any cut; again when a cut overtook it, since it may have seen bytes that are gone. */
  async #uncut<Result>(read: () => Promise<Result>): Promise<Result> {
    for (;;) {
      while (this.#cutting !== undefined) await this.#cutting;
      this.#checkOpen();
      const cutCount = this.#cutCount;
      try {
        const result = await read();
        if (cutCount === this.#cutCount) return result;
      } catch (error) {
        if (cutCount === this.#cutCount) throw error;
      }
    }
  }

  async #readBelow(fromOffset: bigint, endOffset: bigint, maxBytes: number): Promise<LogSlice> {
    const end = endOffset < this.syncedEnd ? endOffset : this.syncedEnd;
    let number = this.#segments.findLastIndex((segment) => segment.baseOffset <= fromOffset);
    for (; fromOffset < end; number += 1) {
      const segment = this.#segments[number];
      if (segment === undefined) break;
      const slice = await readSegment(segment, { fromOffset, endOffset: end, maxBytes });
      if (slice.bytes.length > 0 || segment.endOffset >= end) return slice;
    }
    return { bytes: Buffer.alloc(0), nextOffset: fromOffset };
  }
}
