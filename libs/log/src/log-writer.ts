/**
 * The writing half of a partition log: takes all that has queued up in one synced write, tells that it is durable, goes
 * on with what came meanwhile; begins a new segment when the active one is full. One write is under way at a time, so at
 * most WRITE_BYTES_MAX are ever torn.
 *
 * Out of space: what was written of the batches is cut off, they stay queued, and all of it is written anew when the
 * disk has been looked at; meanwhile nothing is accepted. Any other error, and every error of a sync of what was written
 * before, ends writing for good: Linux reports a failed sync once and takes the lost pages for clean, so a second one
 * would lie.
 */
import { baseOffsetAt } from '@partita/batch';
import { invariant, PartitaError, WRITE_BYTES_MAX } from '@partita/domain';
import { AppendQueue } from './append-queue.ts';
import { diskErrorCode } from './disk.ts';
import type { LogState } from './log-state.ts';
import { QueuedHoles } from './queued-holes.ts';
import type { RecoveredLog } from './recovery.ts';
import { Segment, SyncError } from './segment.ts';
import type { SegmentHome } from './segment.ts';
import { writeSnapshot } from './state-before.ts';
import type { WriteWatch } from './write-watch.ts';

/** Closing a segment waits for as much; each sync commits the file system's journal, for which others wait 50 ms at times. */
const SYNC_BEHIND_BYTES = 64 * 1024 * 1024;

export interface LogSettings {
  /** A segment is closed before it would grow above this; a single larger batch gets a segment of its own. */
  readonly segmentBytesMax: number;
  /** A segment is closed when its first batch is older than this, milliseconds by the leader's clock. */
  readonly segmentAgeMsMax: number;
  /** `fsync`: durable means on the device; `os`: written to the page cache, which a power cut loses. */
  readonly flush: 'fsync' | 'os';
  /** Bytes that `os` lets gather before it syncs them in the background. Default SYNC_BEHIND_BYTES. */
  readonly syncBehindBytes?: number;
}

export interface LogEvents {
  /** Everything below the offset is durable now. Called in order, never before `append` returned. */
  readonly onSynced: (endOffset: bigint) => void;
  /** The log can no longer be written: the whole data directory must be taken for failed. Called once. */
  readonly onFailed: (error: PartitaError) => void;
  /** For those who want to know how a batch became durable. Default: nobody. */
  readonly watch?: WriteWatch | undefined;
}

export class LogWriter {
  readonly queue: AppendQueue;
  /** Of the batches in the queue. */
  readonly holes = new QueuedHoles();
  /** The fold of the durable batches. Replaced when the log is cut. */
  state: LogState;
  /** What holds from the next write on. */
  settings: LogSettings;
  readonly #home: SegmentHome;
  readonly #events: LogEvents;
  /** Those of the log: the writer adds to them. */
  readonly #segments: Segment[];
  #failure: PartitaError | undefined;
  #isWriting = false;
  /** The oldest batches of the queue when they are written but not yet counted. The active segment has others before. */
  #written: readonly Uint8Array[] = [];
  #writtenBytes = 0;
  /** End of the last write that was counted, when its listener has not been told yet. */
  #untoldEnd: bigint | undefined;
  #waitsForSpace = false;
  /** A write broke off for want of space: that its bytes were cut off again is not durable before the next sync. */
  #hasRemains = false;
  #rollIsAsked = false;
  /** A roll broke off for want of space: files of the next segment may be there, and nothing is written before them. */
  #rollIsBegun = false;
  /** Sparse segments take turns while holes keep coming, so that a copy of a compacted log does not roll at each. */
  #activeTookHole = false;
  /** Written with flush=os since a sync was last begun. */
  #unsyncedBytes = 0;
  #isSyncingBehind = false;
  #behind: Promise<void> = Promise.resolve();
  #whenIdle: (() => void)[] = [];
  #whenTurnEnds: (() => void)[] = [];

  constructor(home: SegmentHome, settings: LogSettings, events: LogEvents, recovered: RecoveredLog) {
    this.#home = home;
    this.settings = settings;
    this.#events = events;
    this.queue = new AppendQueue(events.watch);
    this.#segments = recovered.segments;
    this.state = recovered.state;
  }

  /** The segment that takes the writes. */
  get active(): Segment {
    const active = this.#segments.at(-1);
    invariant(active !== undefined, 'a log has a segment');
    return active;
  }

  /** True when an earlier write failed: what is on the disk is unknown. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** True when a power cut could bring back bytes of a write that broke off: whoever drops its batches syncs the file. */
  get hasRemains(): boolean {
    return this.#hasRemains;
  }

  /** Age of the active segment's first batch by the wall clock, milliseconds; 0 while it is empty. */
  get activeAgeMs(): number {
    const { firstAppendTimeMs } = this.active;
    return firstAppendTimeMs === undefined ? 0 : this.#home.device.clock.wallMs() - Number(firstAppendTimeMs);
  }

  /** Throws STORAGE_FAILED when an earlier write failed. */
  checkWorks(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Throws STORAGE_FAILED, STORAGE_FULL or QUEUE_FULL when the batch cannot be taken; changes nothing. Control batches may
   * use the reserve: without the first record of an epoch nobody leads, and then nobody can read either.
   */
  checkAccepts(batchBytes: number, isControl = false): void {
    this.checkWorks();
    const { space } = this.#home.device;
    const isFull = space.isFull(this.settings.segmentBytesMax) && !isControl;
    if (isFull || this.#waitsForSpace) {
      const free = String(space.freeBytes);
      const reserve = String(Math.round(space.reserveBytes(this.settings.segmentBytesMax)));
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
    this.#home.device.space.take(batch.length);
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

  /**
   * Begins a new segment, unless the active one is empty. Whether it was done shows in `active`: a full disk or a failed
   * log leaves it as it is.
   */
  async roll(): Promise<void> {
    this.#rollIsAsked = true;
    this.#pump();
    if (this.#isWriting) {
      await new Promise<void>((resolve) => {
        this.#whenTurnEnds.push(resolve);
      });
    }
    this.#rollIsAsked = false;
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
    this.#events.watch?.dropFrom(() => true);
    this.#events.onFailed(this.#failure);
  }

  /** Starts a write when there is something to write and none is under way. */
  #pump(): void {
    if (this.#isWriting || !this.#hasWork()) return;
    this.#isWriting = true;
    void this.#writeAll();
  }

  #hasWork(): boolean {
    return (this.#hasQueued() || this.#rollIsAsked) && this.#failure === undefined && !this.#waitsForSpace;
  }

  #hasQueued(): boolean {
    return this.queue.count > this.#written.length;
  }

  async #writeAll(): Promise<void> {
    // Whatever else is appended in this turn of the event loop goes into the same write.
    await Promise.resolve();
    while (this.#hasWork()) {
      const turn = this.#home.device.scheduler.run(() => this.#writeNext());
      // Not before: counting the last write, and what the listener does about it, runs beside this one.
      this.#tellSynced();
      await turn;
      const ended = this.#whenTurnEnds;
      if (!this.#rollIsAsked || !this.#hasWork()) {
        this.#whenTurnEnds = [];
        for (const resolve of ended) resolve();
      }
    }
    this.#tellSynced();
    this.#isWriting = false;
    const waiting = [...this.#whenIdle, ...this.#whenTurnEnds];
    this.#whenIdle = [];
    this.#whenTurnEnds = [];
    for (const resolve of waiting) resolve();
  }

  /** One turn: a roll if due, one write of what is queued, one sync. */
  async #writeNext(): Promise<void> {
    try {
      const first = this.queue.at(this.#written.length);
      const isDue = this.#rollIsAsked || this.#rollIsBegun || this.#isFull(first) || this.#needsSparse(first);
      if (isDue) {
        this.#countWritten();
        if (!this.active.isEmpty) await this.#roll();
      }
      this.#rollIsAsked = false;
      if (first === undefined) return;
      if (this.#needsSparse(first)) await this.active.makeSparse();
      const room = Math.min(WRITE_BYTES_MAX, this.#roomBytes());
      const batches = this.#takeable(this.queue.slice(this.#written.length, room));
      const isWatched = this.#events.watch?.isEmpty === false;
      await (isWatched ? this.#writeWatched(batches) : this.#writeBesideIndex(batches));
      this.#hasRemains = false;
      this.#written = batches;
      this.#writtenBytes = batches.reduce((sum, { length }) => sum + length, 0);
      if (this.#countsAtOnce()) this.#countWritten();
    } catch (error) {
      this.#onWriteError(error);
      return;
    }
    if (this.#hasQueued()) return;
    this.#tellSynced();
    if (this.settings.flush === 'fsync') await this.#flushIndex();
  }

  /**
   * With fsync the index entries of a write go to their file beside the next; a segment's age begins with its first write;
   * and holes are judged from the end of what counts.
   */
  #countsAtOnce(): boolean {
    return this.settings.flush === 'fsync' || this.active.isEmpty || !this.holes.isEmpty;
  }

  /**
   * Takes what was written into segment and state, and off the queue. With flush=os it waits until the next write is under
   * way, which goes behind it by its length: reading thousands of headers again would leave the disk idle meanwhile.
   */
  #countWritten(): void {
    const batches = this.#written;
    if (batches.length === 0) return;
    const bytes = this.#writtenBytes;
    this.#written = [];
    this.#writtenBytes = 0;
    this.active.commit(batches);
    for (const batch of batches) this.state.note(batch, 0);
    this.holes.dropBelow(this.active.endOffset);
    this.queue.drop(batches.length);
    this.#untoldEnd = this.active.endOffset;
    if (this.settings.flush === 'os') this.#syncBehind(bytes);
  }

  /** Nothing is told behind `onFailed`: the index may fail beside a write that goes well. */
  #tellSynced(): void {
    try {
      this.#countWritten();
    } catch (error) {
      this.fail(error);
    }
    const end = this.#untoldEnd;
    this.#untoldEnd = undefined;
    if (end !== undefined && this.#failure === undefined) this.#events.onSynced(end);
  }

  /** True when the next batch belongs into a new segment. */
  #isFull(next: Uint8Array | undefined): boolean {
    if (next === undefined) return false;
    return this.#roomBytes() < next.length || this.activeAgeMs >= this.settings.segmentAgeMsMax;
  }

  /**
   * With flush=os nobody waits for a sync, but closing a segment does: it is synced as a whole before its index is. So the
   * device is made to keep up, one sync at a time beside the writes. The index tells how far it is: a start after a kill
   * writes again only what lies behind that.
   */
  #syncBehind(bytes: number): void {
    this.#unsyncedBytes += bytes;
    const dueBytes = this.settings.syncBehindBytes ?? SYNC_BEHIND_BYTES;
    if (this.#unsyncedBytes < dueBytes || this.#isSyncingBehind) return;
    this.#unsyncedBytes = 0;
    this.#isSyncingBehind = true;
    const segment = this.active;
    const entryCount = segment.indexEntryCount;
    this.#behind = segment
      .sync()
      .then(() => segment.flushIndex(entryCount))
      .catch((error: unknown) => {
        if (error instanceof SyncError || diskErrorCode(error) !== 'ENOSPC') this.fail(error);
      })
      .finally(() => (this.#isSyncingBehind = false));
  }

  /** Resolves when no sync behind the writes is under way: what comes next changes the files that it works on. */
  async settleBehind(): Promise<void> {
    await this.#behind;
  }

  /** Writes the batches, and meanwhile the index entries of the write before. */
  async #writeBesideIndex(batches: readonly Uint8Array[]): Promise<void> {
    const { flush } = this.settings;
    const written = this.active.write(batches, this.active.size + this.#writtenBytes, flush === 'fsync');
    const indexed = flush === 'fsync' ? this.#flushIndex() : undefined;
    try {
      await written;
    } finally {
      await indexed;
    }
  }

  async #writeWatched(batches: readonly Uint8Array[]): Promise<void> {
    const { clock } = this.#home.device;
    const beganAtMs = clock.monotonicMs();
    await this.#writeBesideIndex(batches);
    const bytes = batches.reduce((sum, { length }) => sum + length, 0);
    const isSynced = this.settings.flush === 'fsync';
    const timing = { beganAtMs, endedAtMs: clock.monotonicMs(), bytes, batchCount: batches.length, isSynced };
    this.#events.watch?.written(batches, timing);
  }

  /** Bytes that the active segment may still take. */
  #roomBytes(): number {
    return this.settings.segmentBytesMax - this.active.size - this.#writtenBytes;
  }

  /** True when the batch begins behind a hole and the active segment takes none. */
  #needsSparse(first: Uint8Array | undefined): boolean {
    return first !== undefined && !this.active.isSparse && this.holes.isBefore(baseOffsetAt(first, 0));
  }

  /** Those of the batches that the active segment takes. */
  #takeable(batches: readonly Uint8Array[]): readonly Uint8Array[] {
    if (!this.active.isSparse) return this.holes.upToNext(batches);
    this.#activeTookHole ||= this.holes.isAmong(batches);
    return batches;
  }

  /** Closes the active segment and begins the next one. Repeats cleanly when the disk was full at any point of it. */
  async #roll(): Promise<void> {
    await this.#behind;
    const sealed = this.active;
    const baseOffset = sealed.endOffset;
    this.#rollIsBegun = true;
    await sealed.complete(this.settings.flush === 'os');
    await writeSnapshot(this.#home, this.state.snapshot(baseOffset));
    const isSparse = this.#activeTookHole || this.#needsSparse(this.queue.at(0));
    const next = await Segment.create(this.#home, baseOffset, isSparse);
    this.#activeTookHole = false;
    sealed.seal();
    this.#segments.push(next);
    this.#rollIsBegun = false;
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
    this.#hasRemains = true;
    this.#home.device.space.afterNextPoll(() => {
      this.#waitsForSpace = false;
      this.#pump();
    });
  }
}
