/**
 * The log of one partition on this broker's disk. `append` is synchronous: it checks, gives the batch its place and
 * queues it; log-writer.ts makes it durable and tells `onSynced`.
 *
 * Invariants: logStart <= syncedEnd <= logEnd; a segment begins where the one before it ends; nothing below logStart or
 * behind syncedEnd is ever read; after a failed sync nothing is written any more.
 */
import {
  appendTimeMsAt,
  BATCH_DATA,
  baseOffsetAt,
  batchBytesAt,
  batchTypeAt,
  isBatchAt,
  lastOffsetAt,
  leaderEpochAt,
  verifyHeaderCrc,
} from '@partita/batch';
import { BATCH_BYTES_MAX, invariant, PartitaError } from '@partita/domain';
import { ChangeGate } from './change-gate.ts';
import { adoptCompaction, SwapError } from './compaction/adopt.ts';
import type { CompactionPlan, CompactionResult } from './compaction/compaction-plan.ts';
import type { CompactionState } from './compaction/compaction-state.ts';
import { EpochHistory } from './epoch-history.ts';
import type { EpochStart } from './epoch-history.ts';
import type { LogState } from './log-state.ts';
import { cutLog } from './log-truncation.ts';
import { LogWriter } from './log-writer.ts';
import type { LogSettings } from './log-writer.ts';
import type { PartitionLogOptions } from './open-partition-log.ts';
import { writeClosingSnapshot } from './recovery.ts';
import type { RecoveredLog } from './recovery.ts';
import { findTime, readLog } from './segment-reader.ts';
import type { LogIdentity } from './segment-header.ts';
import type { LogSlice } from './segment-reader.ts';
import type { Segment, SegmentHome } from './segment.ts';

export class PartitionLog {
  /** Why acknowledged batches may be missing from it; undefined when none are. It must not be counted on in elections. */
  readonly suspect: string | undefined;
  /** Bytes of a torn write that recovery cut off. */
  readonly cutBytes: number;
  readonly #home: SegmentHome;
  /** Oldest first, never empty; the last one takes the writes. */
  readonly #segments: Segment[];
  readonly #epochs: EpochHistory;
  readonly #writer: LogWriter;
  #logEnd: bigint;
  /** What was asked to be deleted; whole segments below it are removed. */
  #logStart: bigint;
  #lastAppendTimeMs: bigint;
  #isClosed = false;
  /** True while the end of the log is cut off: nothing may be appended. */
  #isCutting = false;
  readonly #gate = new ChangeGate();
  #compaction: CompactionState;
  /** Below it this process's last compaction removed tombstones; undefined when it left none. */
  #tombstonesEndedBelow: bigint | undefined = 0n;

  /** Use openPartitionLog (open-partition-log.ts). */
  constructor(home: SegmentHome, options: PartitionLogOptions, recovered: RecoveredLog) {
    this.#home = home;
    this.#segments = recovered.segments;
    this.#epochs = new EpochHistory(recovered.state.epochs.starts);
    this.#writer = new LogWriter(home, options.settings, options, recovered);
    this.#logEnd = this.#writer.active.endOffset;
    this.#lastAppendTimeMs = recovered.state.lastAppendTimeMs;
    const { logStart = 0n } = options;
    this.#logStart = logStart < this.#logEnd ? logStart : this.#logEnd;
    this.#compaction = recovered.compaction;
    this.suspect = recovered.suspect;
    this.cutBytes = recovered.cutBytes;
  }

  /** Runs something that reads the files of segments, again when a change overtook it. */
  async undisturbed<Result>(reading: () => Promise<Result>): Promise<Result> {
    return this.#gate.read(() => {
      this.#checkOpen();
      return reading();
    });
  }

  /** Writes index files again that were found missing or damaged since. */
  async repairIndexes(): Promise<void> {
    if (!this.#segments.some(({ indexIsToRepair }) => indexIsToRepair)) return;
    await this.#gate.alone(async () => {
      for (const segment of [...this.#segments]) if (segment.indexIsToRepair) await segment.repairIndex();
    });
  }

  /** First offset that can be read. */
  get logStart(): bigint {
    const kept = this.#segments[0]?.baseOffset ?? 0n;
    return this.#logStart > kept ? this.#logStart : kept;
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

  /** The fold of the durable batches. */
  get state(): LogState {
    return this.#writer.state;
  }

  /** Age of the active segment's first batch by the wall clock, milliseconds; 0 while it is empty. */
  get activeAgeMs(): number {
    return this.#writer.activeAgeMs;
  }

  /** Bytes of the segment files. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.size, 0);
  }

  /** The segments, oldest first; the last one takes the writes. For looking only. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Where it is, and whose. */
  get place(): { readonly directory: string; readonly identity: LogIdentity } {
    return this.#home;
  }

  get settings(): LogSettings {
    return this.#writer.settings;
  }

  /** How far the log was compacted. */
  get compaction(): CompactionState {
    return this.#compaction;
  }

  /** Below it this process's last compaction removed tombstones; undefined when it left none to remove. */
  get tombstonesEndedBelow(): bigint | undefined {
    return this.#tombstonesEndedBelow;
  }

  /** Replaces the settings; they hold from the next write on. `flush` may not change. */
  changeSettings(settings: LogSettings): void {
    invariant(settings.flush === this.#writer.settings.flush, 'how a log is flushed changes with its replica config');
    this.#writer.settings = settings;
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
    invariant(!this.#isCutting, 'nothing is appended while the log is being cut');
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
    this.#writer.checkAccepts(batch.length, batchTypeAt(batch, 0) !== BATCH_DATA);
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
    return this.#gate.read(() => {
      this.#checkOpen();
      this.#checkRange(fromOffset);
      return readLog(this.#segments, { fromOffset, endOffset: least(endOffset, this.syncedEnd), maxBytes });
    });
  }

  /**
   * Base offset of the first durable batch that reaches above logStart and holds a timestamp at or above the given one, at
   * least logStart; undefined when there is none.
   */
  async offsetForTime(timestampMs: bigint): Promise<bigint | undefined> {
    return this.#gate.read(async () => {
      this.#checkOpen();
      // Not those that a trim is just removing.
      for (const segment of this.#segments.filter(({ endOffset }) => endOffset > this.logStart)) {
        const found = await findTime(segment, timestampMs, this.logStart);
        if (found !== undefined) return found > this.logStart ? found : this.logStart;
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
    invariant(!this.#isCutting, 'a log is cut once at a time');
    invariant(toOffset >= this.logStart && toOffset <= this.#logEnd, `offset ${toOffset} to cut at is in the log`);
    this.#isCutting = true;
    try {
      await this.#gate.alone(() => this.#gate.closed(() => this.#cutAt(toOffset)));
    } finally {
      this.#isCutting = false;
    }
  }

  /**
   * Deletes the records below `toOffset`, at most syncedEnd: they are no longer read, and segments that end there are
   * removed. The caller has noted the offset durably before (`logStart` of the options), since the files go one by one.
   */
  async trim(toOffset: bigint): Promise<void> {
    invariant(toOffset <= this.syncedEnd, `offset ${toOffset} to trim to is above the durable end ${this.syncedEnd}`);
    if (toOffset <= this.logStart) return;
    // From here on no reading begins below it, whatever becomes of the files.
    this.#logStart = toOffset;
    this.#gate.overtake();
    await this.#gate.alone(async () => {
      this.#checkOpen();
      if (toOffset >= this.#writer.active.endOffset) await this.#writer.roll();
      let removedCount = 0;
      for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
        if (this.#segments.length === 1 || first.endOffset > toOffset) break;
        this.#segments.shift();
        await first.remove();
        removedCount += 1;
      }
      if (removedCount > 0) await this.#home.device.disk.syncDirectory(this.#home.directory);
    });
  }

  /**
   * Puts what a compaction made in place. False when retention was faster: then nothing has changed. Readers see the old
   * segments or the new ones.
   */
  async adopt(made: {
    plan: CompactionPlan;
    result: CompactionResult;
    tombstoneDelayMs: number;
    /** False = the wall clock may be wrong: tombstones do not begin to count their delay by it. */
    clockIsTrusted: boolean;
  }): Promise<boolean> {
    return this.#gate.alone(async () => {
      this.#checkOpen();
      try {
        const adoption = {
          home: this.#home,
          segments: this.#segments,
          state: this.#compaction,
          result: made.result,
          nowMs: made.clockIsTrusted ? BigInt(Math.floor(this.#home.device.clock.wallMs())) : undefined,
          // Infinity is allowed, a bigint cannot be.
          tombstoneDelayMs: BigInt(Math.floor(Math.min(made.tombstoneDelayMs, Number.MAX_SAFE_INTEGER))),
        };
        const state = await this.#gate.closed(() => adoptCompaction(adoption));
        if (state === undefined) return false;
        this.#compaction = state;
        const { plan, result } = made;
        this.#tombstonesEndedBelow = result.keptTombstones === 0 ? undefined : plan.tombstonesEndBelow;
        return true;
      } catch (error) {
        if (error instanceof SwapError) this.#writer.fail(error);
        throw error;
      }
    });
  }

  /** Closes the active segment and begins a new one, unless it is empty, the disk is full or the log has failed. */
  async roll(): Promise<void> {
    await this.#gate.alone(async () => {
      this.#checkOpen();
      if (!this.#writer.active.isEmpty) await this.#writer.roll();
    });
  }

  /**
   * Stops appends, writes what is queued (unless the log has failed or the disk is full) and closes the files. With
   * `clean` the index is completed, so that the next start needs to verify nothing; answers whether it is so.
   */
  async close(options: { clean: boolean }): Promise<boolean> {
    if (this.#isClosed) return false;
    this.#isClosed = true;
    await this.#gate.settled();
    await this.#writer.idle();
    await this.#writer.settleBehind();
    const isClean = options.clean && (await this.#complete());
    this.#writer.queue.dropFrom(() => true);
    for (const segment of this.#segments) await segment.close();
    return isClean;
  }

  /** Writes down what the next start needs to verify nothing; false when it cannot. */
  async #complete(): Promise<boolean> {
    const { queue, hasFailed, active, settings, state } = this.#writer;
    if (queue.count > 0 || hasFailed) return false;
    try {
      for (const segment of this.#segments) if (segment.indexIsToRepair) await segment.repairIndex();
      await active.complete(settings.flush === 'os');
      await writeClosingSnapshot(this.#home, active, state);
      return true;
    } catch {
      // A disk that is full or fails: the next start verifies.
      return false;
    }
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
    await this.#writer.settleBehind();
    this.#writer.checkWorks();
    const waiting = queue.at(0);
    if (waiting !== undefined) this.#writer.checkAccepts(waiting.length);
    invariant(waiting === undefined, 'the batches below a cut are written before it');
    try {
      if (toOffset < this.syncedEnd) {
        this.#writer.state = await cutLog(this.#home, this.#segments, toOffset);
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
    const { queue, state } = this.#writer;
    this.#logEnd = offset;
    this.#lastAppendTimeMs = queue.last === undefined ? state.lastAppendTimeMs : appendTimeMsAt(queue.last, 0);
    this.#epochs.truncate(offset);
  }

  #checkRange(offset: bigint): void {
    if (offset >= this.logStart && offset <= this.#logEnd) return;
    const start = String(this.logStart);
    const end = String(this.#logEnd);
    throw new PartitaError(
      'OFFSET_OUT_OF_RANGE',
      `offset ${offset} is outside of ${start}..${end}; read from an offset in it, from earliest or from latest`,
      { start, end },
    );
  }
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
