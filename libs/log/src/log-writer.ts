/**
 * The writing half of a partition log: takes all that has queued up in one writev and one fdatasync, tells that it is
 * durable, goes on with what came meanwhile; begins a new segment when the active one is full. One write is under way at
 * a time, so at most WRITE_BYTES_MAX are ever torn.
 *
 * Out of space: what was written of the batches is cut off, they stay queued, and the write is tried again when the
 * disk has been looked at; meanwhile nothing is accepted. Any other error, and every error of a sync, ends writing for
 * good: Linux reports a failed sync once and takes the lost pages for clean, so a second one would lie.
 */
import { appendTimeMsAt } from '@partita/batch';
import { invariant, PartitaError, WRITE_BYTES_MAX } from '@partita/domain';
import { AppendQueue } from './append-queue.ts';
import { diskErrorCode } from './disk.ts';
import type { EpochHistory } from './epoch-history.ts';
import { writeSnapshot } from './recovery.ts';
import type { RecoveredLog } from './recovery.ts';
import { Segment, SyncError } from './segment.ts';
import type { SegmentHome } from './segment.ts';

export interface LogSettings {
  /** A segment is closed before it would grow above this; a single larger batch gets a segment of its own. */
  readonly segmentBytesMax: number;
  /** `fsync`: durable means on the device; `os`: written to the page cache, which a power cut loses. */
  readonly flush: 'fsync' | 'os';
}

export interface LogEvents {
  /** Everything below the offset is durable now. Called in order, never before `append` returned. */
  readonly onSynced: (endOffset: bigint) => void;
  /** The log can no longer be written: the whole data directory must be taken for failed. Called once. */
  readonly onFailed: (error: PartitaError) => void;
}

export class LogWriter {
  readonly queue = new AppendQueue();
  /** Append time of the last durable batch. */
  syncedAppendTimeMs: bigint;
  readonly #home: SegmentHome;
  readonly #settings: LogSettings;
  readonly #events: LogEvents;
  /** Those of the log: the writer adds to them. */
  readonly #segments: Segment[];
  readonly #epochs: EpochHistory;
  #failure: PartitaError | undefined;
  #isWriting = false;
  /** End of the last write, when its listener has not been told yet. */
  #untoldEnd: bigint | undefined;
  #waitsForSpace = false;
  #whenIdle: (() => void)[] = [];

  constructor(home: SegmentHome, settings: LogSettings, events: LogEvents, recovered: RecoveredLog) {
    this.#home = home;
    this.#settings = settings;
    this.#events = events;
    this.#segments = recovered.segments;
    this.#epochs = recovered.epochs;
    this.syncedAppendTimeMs = recovered.lastAppendTimeMs;
  }

  /** The segment that takes the writes. */
  get active(): Segment {
    const active = this.#segments.at(-1);
    invariant(active !== undefined, 'a log has a segment');
    return active;
  }

  /** Throws STORAGE_FAILED when an earlier write failed. */
  checkWorks(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Throws STORAGE_FAILED, STORAGE_FULL or QUEUE_FULL when the batch cannot be taken; changes nothing. */
  checkAccepts(batchBytes: number): void {
    this.checkWorks();
    const { space } = this.#home.device;
    if (space.isFull(this.#settings.segmentBytesMax) || this.#waitsForSpace) {
      const free = String(space.freeBytes);
      const reserve = String(Math.round(space.reserveBytes(this.#settings.segmentBytesMax)));
      throw new PartitaError(
        'STORAGE_FULL',
        `the broker's disk has ${free} bytes free and keeps ${reserve} in reserve; free some, shorten retention or add brokers`,
        { free_bytes: free, reserve_bytes: reserve },
      );
    }
    this.queue.checkRoom(batchBytes);
  }

  /** Takes a batch that `checkAccepts` let through. */
  push(batch: Uint8Array): void {
    this.queue.push(batch);
    this.#pump();
  }

  /** Waits until no write is under way and none can start. `prepare` may change the queue; it runs between writes. */
  async idle(prepare: () => void = () => undefined): Promise<void> {
    for (;;) {
      if (!this.#isWriting) {
        prepare();
        this.#pump();
      }
      if (!this.#isWriting) return;
      await new Promise<void>((resolve) => {
        this.#whenIdle.push(resolve);
      });
    }
  }

  /** Ends writing for good and tells so, once. */
  fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const { directory, identity } = this.#home;
    this.#failure = new PartitaError(
      'STORAGE_FAILED',
      `writing ${directory} failed, so nothing more is written there; check the disk and restart the broker`,
      { topic_id: identity.topicId, partition: String(identity.partition), directory },
      { cause },
    );
    this.#events.onFailed(this.#failure);
  }

  /** Starts a write when there is something to write and none is under way. */
  #pump(): void {
    if (this.#isWriting || this.queue.count === 0 || this.#failure !== undefined || this.#waitsForSpace) return;
    this.#isWriting = true;
    void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // Whatever else is appended in this turn of the event loop goes into the same write.
    await Promise.resolve();
    while (this.queue.count > 0 && this.#failure === undefined && !this.#waitsForSpace) {
      const turn = this.#home.device.scheduler.run(() => this.#writeNext());
      // Not before: what the listener does about the last write runs beside this one.
      this.#tellSynced();
      await turn;
    }
    this.#tellSynced();
    this.#isWriting = false;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }

  /** One turn: a roll if due, one write of what is queued, one sync. */
  async #writeNext(): Promise<void> {
    try {
      const first = this.queue.first;
      if (first === undefined) return;
      if (!this.active.isEmpty && this.#roomBytes() < first.length) await this.#roll();
      const batches = this.queue.head(Math.min(WRITE_BYTES_MAX, this.#roomBytes()));
      await this.#writeBesideIndex(batches);
      this.active.commit(batches);
      this.#untoldEnd = this.active.endOffset;
      this.queue.drop(batches.length);
      const last = batches.at(-1);
      if (last !== undefined) this.syncedAppendTimeMs = appendTimeMsAt(last, 0);
    } catch (error) {
      this.#onWriteError(error);
      return;
    }
    if (this.queue.count > 0) return;
    this.#tellSynced();
    if (this.#settings.flush === 'fsync') await this.#flushIndex();
  }

  /** Writes the batches, and meanwhile the index entries of the write before. */
  async #writeBesideIndex(batches: readonly Uint8Array[]): Promise<void> {
    const { flush } = this.#settings;
    const written = this.active.write(batches, flush === 'fsync');
    const indexed = flush === 'fsync' ? this.#flushIndex() : undefined;
    try {
      await written;
    } finally {
      await indexed;
    }
  }

  /** Nothing is told behind `onFailed`: the index may fail beside a write that goes well. */
  #tellSynced(): void {
    const end = this.#untoldEnd;
    this.#untoldEnd = undefined;
    if (end !== undefined && this.#failure === undefined) this.#events.onSynced(end);
  }

  /** Bytes that the active segment may still take. */
  #roomBytes(): number {
    return this.#settings.segmentBytesMax - this.active.durableBytes();
  }

  /** Closes the active segment and begins the next one. Repeats cleanly when the disk was full at any point of it. */
  async #roll(): Promise<void> {
    const sealed = this.active;
    const baseOffset = sealed.endOffset;
    await sealed.complete(this.#settings.flush === 'os');
    const epochs = this.#epochs.starts.filter(({ startOffset }) => startOffset < baseOffset);
    await writeSnapshot(this.#home, { baseOffset, lastAppendTimeMs: this.syncedAppendTimeMs, epochs });
    const next = await Segment.create(this.#home, baseOffset);
    sealed.seal();
    this.#segments.push(next);
  }

  /** The index can be made again from the log, so a full disk fails nothing here: the next write tries again. */
  async #flushIndex(): Promise<void> {
    try {
      await this.active.flushIndex();
    } catch (error) {
      if (diskErrorCode(error) !== 'ENOSPC') this.fail(error);
    }
  }

  #onWriteError(error: unknown): void {
    if (error instanceof SyncError || diskErrorCode(error) !== 'ENOSPC') {
      this.fail(error);
      return;
    }
    this.#waitsForSpace = true;
    this.#home.device.space.afterNextPoll(() => {
      this.#waitsForSpace = false;
      this.#pump();
    });
  }
}
