/**
 * One segment file of a partition and its index. The last segment of a log takes writes and holds its index; the others
 * are sealed: nothing changes them, their index is loaded through the device's cache.
 *
 * `size` and `endOffset` count what is durable (with flush=os: written); readers never look behind them.
 */
import { appendTimeMsAt, headerSeed, lastOffsetAt, leaderEpochAt, maxTimestampMsAt } from '@partita/batch';
import { invariant, PartitaError } from '@partita/domain';
import { indexEntryOf, scanBatches } from './batch-scan.ts';
import type { ScanEnd } from './batch-scan.ts';
import { diskErrorCode, readFileIfExists, unlinkIfExists } from './disk.ts';
import type { Disk, DiskFile } from './disk.ts';
import { corruptFile } from './log-damage.ts';
import type { DamagedPlace } from './log-damage.ts';
import type { LogDevice } from './log-device.ts';
import { INDEX_ENTRY_BYTES, OffsetIndex } from './offset-index.ts';
import type { IndexEntry } from './offset-index.ts';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { LogIdentity } from './segment-header.ts';
import type { SegmentFacts } from './segment-facts.ts';
import { segmentPath } from './segment-files.ts';

/** What all segments of one partition have in common. */
export interface SegmentHome {
  readonly device: LogDevice;
  readonly directory: string;
  readonly identity: LogIdentity;
  /** Seed of the partition's header checksums. */
  readonly seed: number;
  /** Segments that begin below `below` may have been compacted: their offsets may have holes. */
  readonly gaps: { below: bigint };
}

export function segmentHome(device: LogDevice, directory: string, identity: LogIdentity): SegmentHome {
  const seed = headerSeed(identity.topicId, identity.partition);
  return { device, directory, identity, seed, gaps: { below: 0n } };
}

/** corruptFile (log-damage.ts) for a file of the partition. */
export function corruptBatch(home: SegmentHome, path: string, place: DamagedPlace, why: string): PartitaError {
  return corruptFile(home.identity, path, place, why);
}

export class Segment {
  readonly home: SegmentHome;
  readonly baseOffset: bigint;
  readonly path: string;
  /** Offset behind the last durable batch. */
  endOffset: bigint;
  /** Durable bytes. */
  size = 0;
  /** Of a sealed segment, once somebody has looked (segment-facts.ts). */
  facts: SegmentFacts | undefined;
  /** Append time of the first batch, milliseconds UTC, while the segment takes writes; undefined without one. */
  firstAppendTimeMs: bigint | undefined;
  readonly #indexPath: string;
  /** As its header says; of a sealed segment unknown, and false, until `index` or `verifyHeader` has read it. */
  #isSparse = false;
  /** Kept while the segment takes writes. */
  #index: OffsetIndex | undefined;
  /** Of a sealed segment whose index file is missing or damaged. */
  #repaired: OffsetIndex | undefined;
  /** Entries that are in the index file. */
  #indexedCount = 0;
  /** The log file was changed otherwise than by synced writes: the next of those has to sync the whole file. */
  #hasUnsynced = false;

  /** A segment that is on disk; `recovery.ts` opens the last one for writing with `resume`. */
  constructor(home: SegmentHome, baseOffset: bigint, endOffset: bigint) {
    this.home = home;
    this.baseOffset = baseOffset;
    this.endOffset = endOffset;
    this.path = segmentPath(home.directory, baseOffset, 'log');
    this.#indexPath = segmentPath(home.directory, baseOffset, 'idx');
  }

  /**
   * Makes an empty segment, durable before it is used: content, then names. Replaces the rest of a failed try. Only a
   * sparse one takes batches that begin above the end of the one before.
   */
  static async create(home: SegmentHome, baseOffset: bigint, isSparse = false): Promise<Segment> {
    const segment = new Segment(home, baseOffset, baseOffset);
    const { disk, clock, files } = home.device;
    await files.close(segment.path);
    await files.close(segment.#indexPath);
    await (await createAnew(disk, segment.#indexPath)).close();
    const file = await createAnew(disk, segment.path);
    try {
      await file.writev([segment.#header(clock.wallMs(), isSparse)], 0);
      await file.datasync();
    } finally {
      await file.close();
    }
    await disk.syncDirectory(home.directory);
    segment.#isSparse = isSparse;
    segment.resume(new OffsetIndex(home.seed), 0, SEGMENT_HEADER_BYTES);
    return segment;
  }

  /** Makes a segment that is empty sparse, durable on return: there is the old file or the new one at any moment. */
  async makeSparse(): Promise<void> {
    invariant(this.isEmpty && this.size === SEGMENT_HEADER_BYTES, 'only an empty segment becomes sparse');
    const { disk, clock, files } = this.home.device;
    await files.close(this.path);
    await disk.writeFileAtomically(this.path, this.#header(clock.wallMs(), true));
    this.#isSparse = true;
  }

  /** True when its header lets it take batches behind holes. */
  get isSparse(): boolean {
    return this.#isSparse;
  }

  /** True when its offsets may have holes: its header says so, or it may have been compacted. */
  get mayHaveGaps(): boolean {
    return this.#isSparse || this.baseOffset < this.home.gaps.below;
  }

  /** True when its last batch may end below the next segment's base: only where a compaction may have been. */
  get mayEndEarly(): boolean {
    return this.baseOffset < this.home.gaps.below;
  }

  /** True when it has no batch. */
  get isEmpty(): boolean {
    return this.endOffset === this.baseOffset;
  }

  /** Runs work on the open log file. */
  use<Result>(work: (file: DiskFile) => Promise<Result>): Promise<Result> {
    return this.home.device.files.use(this.path, work);
  }

  /** Opens it for writing: `index` is complete up to `size`, its file holds the first `indexedCount` entries. */
  resume(index: OffsetIndex, indexedCount: number, size: number): void {
    this.home.device.indexes.drop(this);
    this.#repaired = undefined;
    this.#index = index;
    this.#indexedCount = indexedCount;
    this.size = size;
  }

  /**
   * Writes batches at `position`, behind all that was written, durably when asked. They count as durable only after
   * `commit`. Out of space is answered by cutting off what was written of them and throwing the ENOSPC on, to be tried
   * again: all of their bytes are then written anew, so it does not matter whether the write or its sync met it. Any other
   * error, and every error of a sync of bytes written before, means that the state of the file is unknown.
   */
  async write(batches: readonly Uint8Array[], position: number, sync: boolean): Promise<void> {
    const { clock, onWritten } = this.home.device;
    const beganAtMs = onWritten === undefined ? 0 : clock.monotonicMs();
    const isWholeSync = sync && this.#hasUnsynced;
    await this.use(async (file) => {
      try {
        if (sync && !isWholeSync) await file.writeSynced(batches, position);
        else {
          this.#hasUnsynced = true;
          await file.writev(batches, position);
        }
      } catch (error) {
        if (diskErrorCode(error) === 'ENOSPC') {
          this.#hasUnsynced = true;
          await file.truncate(position);
        }
        throw error;
      }
      if (!isWholeSync) return;
      await syncFile(file);
      this.#hasUnsynced = false;
    });
    if (onWritten === undefined) return;
    const bytes = batches.reduce((sum, { length }) => sum + length, 0);
    onWritten({ ms: clock.monotonicMs() - beganAtMs, batchCount: batches.length, bytes, isSynced: sync });
  }

  /** Counts written batches as durable and makes them readable. */
  commit(batches: readonly Uint8Array[]): void {
    let position = this.size;
    const [first] = batches;
    if (first !== undefined) this.firstAppendTimeMs ??= appendTimeMsAt(first, 0);
    const last = batches.at(-1);
    for (const batch of batches) {
      const index = this.#index;
      if (batch === last || index?.isDue(position, leaderEpochAt(batch, 0)) === true) {
        index?.note(indexEntryOf(batch, 0, position));
      } else {
        index?.pass(maxTimestampMsAt(batch, 0));
      }
      position += batch.length;
    }
    if (last !== undefined) this.endOffset = lastOffsetAt(last, 0) + 1n;
    this.size = position;
  }

  /** True when the index file is not what it should be and the index was made anew in memory. */
  get indexIsToRepair(): boolean {
    return this.#repaired !== undefined;
  }

  /** Writes that index to its file; only while nothing else changes the segment. */
  async repairIndex(): Promise<void> {
    const index = this.#repaired;
    this.#repaired = undefined;
    if (index !== undefined) await this.replaceIndexFile(index, index.count);
  }

  /** Entries of the index while the segment takes writes. */
  get indexEntryCount(): number {
    return this.#index?.count ?? 0;
  }

  /** Adds the new entries to the index file, up to `count`; only called when what they name is synced. */
  async flushIndex(count: number = this.indexEntryCount): Promise<void> {
    const index = this.#index;
    if (index === undefined || count <= this.#indexedCount) return;
    const bytes = index.encode(this.#indexedCount, count);
    const at = this.#indexedCount * INDEX_ENTRY_BYTES;
    await this.home.device.files.use(this.#indexPath, (file) => file.writev([bytes], at));
    this.#indexedCount = count;
  }

  /** Makes what was written so far durable. */
  async sync(): Promise<void> {
    await this.use(syncFile);
  }

  /** Makes the index complete and durable; the log's bytes are synced before when they were not (flush=os). */
  async complete(syncLog: boolean): Promise<void> {
    if (syncLog) await this.sync();
    this.#index?.complete();
    await this.flushIndex();
    await this.home.device.files.use(this.#indexPath, (file) => file.datasync());
  }

  /** Ends writing: the index moves to the cache's care. Call after `complete`. */
  seal(): void {
    this.#index = undefined;
  }

  /** The index: the one held, or the file's, made anew when that is missing or does not reach the end. */
  async index(): Promise<OffsetIndex> {
    return this.#index ?? this.home.device.indexes.get(this, () => this.#loadIndex());
  }

  /** Writes an index file that holds just the first `count` entries of `index`, durable on return. */
  async replaceIndexFile(index: OffsetIndex, count: number): Promise<void> {
    await this.home.device.files.close(this.#indexPath);
    const bytes = index.encode().subarray(0, count * INDEX_ENTRY_BYTES);
    await this.home.device.disk.writeFileAtomically(this.#indexPath, bytes);
  }

  /** The intact entries of the index file; none when there is no file. */
  async readIndexFile(): Promise<{ index: OffsetIndex; fileBytes: number | undefined }> {
    const bytes = await readFileIfExists(this.home.device.disk, this.#indexPath);
    return { index: OffsetIndex.decode(bytes ?? Buffer.alloc(0), this.home.seed), fileBytes: bytes?.length };
  }

  /** Notes in `index` the batches behind its last entry up to `end`, by their headers. Returns where the scan stopped. */
  async extendIndex(file: Pick<DiskFile, 'read'>, index: OffsetIndex, end: number): Promise<ScanEnd> {
    const last = index.at(index.count - 1);
    return scanBatches({ file, seed: this.home.seed, ...scanStart(this, last), end }, (bytes, at, position) => {
      if (position !== last?.position) index.note(indexEntryOf(bytes, at, position));
      return true;
    });
  }

  /** Removes the files of the segment, the log first: an index without a log is removed at the next start. */
  async remove(): Promise<void> {
    const { disk, files, indexes } = this.home.device;
    for (const path of [this.path, this.#indexPath]) {
      await files.close(path);
      await unlinkIfExists(disk, path);
    }
    indexes.drop(this);
    await unlinkIfExists(disk, segmentPath(this.home.directory, this.baseOffset, 'snapshot'));
  }

  /** Closes its files and forgets its index. */
  async close(): Promise<void> {
    this.home.device.indexes.drop(this);
    await this.home.device.files.close(this.path);
    await this.home.device.files.close(this.#indexPath);
  }

  /** Checks that the file begins with the header of this segment of this log. */
  async verifyHeader(file: Pick<DiskFile, 'read'>): Promise<void> {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const read = await file.read(bytes, 0);
    const header = decodeSegmentHeader(bytes.subarray(0, read));
    if (header === undefined) throw corruptBatch(this.home, this.path, 0, 'it does not begin with a segment header');
    const { clusterId, topicId, partition } = this.home.identity;
    if (header.clusterId !== clusterId) {
      throw new PartitaError(
        'WRONG_CLUSTER',
        `${this.path} belongs to cluster ${header.clusterId}, not ${clusterId}; give this broker its own data directory`,
        { expected: clusterId, found: header.clusterId },
      );
    }
    if (header.topicId !== topicId || header.partition !== partition || header.baseOffset !== this.baseOffset) {
      const found = `${header.topicId}/${header.partition} from offset ${header.baseOffset}`;
      throw corruptBatch(this.home, this.path, 0, `it holds ${found}; it was moved or copied here`);
    }
    this.#isSparse = header.isSparse;
  }

  #header(wallMs: number, isSparse: boolean): Buffer {
    const createTimeMs = BigInt(Math.round(wallMs));
    return encodeSegmentHeader({ ...this.home.identity, baseOffset: this.baseOffset, createTimeMs, isSparse });
  }

  async #loadIndex(): Promise<OffsetIndex> {
    await this.use((file) => this.verifyHeader(file));
    const size = await this.use((file) => file.size());
    const { index, fileBytes } = await this.readIndexFile();
    const intactCount = index.count;
    const last = index.at(index.count - 1);
    if (last !== undefined && last.position + last.batchBytes > size) {
      throw corruptBatch(this.home, this.path, size, `it ends there, but its index knows batches behind`);
    }
    const isComplete = last !== undefined && last.position + last.batchBytes === size;
    if (!isComplete) {
      const end = await this.use((file) => this.extendIndex(file, index, size));
      if (end.fault !== undefined) throw corruptBatch(this.home, this.path, end, end.fault.why);
      index.complete();
    }
    const finalEntry = index.at(index.count - 1);
    const endOffset = finalEntry === undefined ? this.baseOffset : endOffsetOf(finalEntry);
    if (endOffset > this.endOffset || (endOffset < this.endOffset && !this.mayEndEarly)) {
      throw corruptBatch(this.home, this.path, size, `it ends at offset ${endOffset}, not ${this.endOffset}`);
    }
    if (intactCount !== index.count || fileBytes !== intactCount * INDEX_ENTRY_BYTES) {
      // Not here: a reading may run beside a change of the files.
      this.#repaired = index;
    }
    this.size = size;
    return index;
  }
}

/** An empty file in place of what a failed try may have left. */
async function createAnew(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, 'create');
  } catch (error) {
    if (diskErrorCode(error) !== 'EEXIST') throw error;
    await disk.unlink(path);
    return disk.open(path, 'create');
  }
}

/** Offset behind the batch that the entry names. */
export function endOffsetOf(entry: IndexEntry): bigint {
  return entry.baseOffset + BigInt(entry.lastOffsetDelta) + 1n;
}

/** Where a scan begins: at the batch of an index entry, or at the first of the segment. */
export function scanStart(
  segment: Segment,
  entry: IndexEntry | undefined,
): { position: number; nextOffset: bigint; mayHaveGaps: boolean } {
  const { mayHaveGaps } = segment;
  return entry === undefined
    ? { position: SEGMENT_HEADER_BYTES, nextOffset: segment.baseOffset, mayHaveGaps }
    : { position: entry.position, nextOffset: entry.baseOffset, mayHaveGaps };
}

/** Thrown by a sync, whatever the cause: what it should have made durable is lost or not, and no second call can tell. */
export class SyncError extends Error {
  override readonly name = 'SyncError';
}

async function syncFile(file: DiskFile): Promise<void> {
  try {
    await file.datasync();
  } catch (error) {
    throw new SyncError('fdatasync failed', { cause: error });
  }
}
