/**
 * Walks the batches of a log file one behind the other: for recovery (everything checked) and for making an index anew
 * or finding a batch between two index entries (headers only). Control batches are always read whole and checked, since
 * the state of a partition is made from their content.
 */
import {
  baseOffsetAt,
  BATCH_DATA,
  batchBytesAt,
  batchTypeAt,
  HEADER_BYTES,
  headerCrcAt,
  isBatchAt,
  lastOffsetAt,
  lastOffsetDeltaAt,
  leaderEpochAt,
  maxTimestampMsAt,
  verifyHeaderCrc,
  verifyRecordsCrc,
} from '@partita/batch';
import { BATCH_BYTES_MAX } from '@partita/domain';
import type { DiskFile } from './disk.ts';
import type { IndexEntry } from './offset-index.ts';

const WINDOW_BYTES = 256 * 1024;

/** Why a scan stopped before its end. */
export interface ScanFault {
  readonly why: 'bad header' | 'bad records' | 'cut short' | 'wrong offset';
  /** Where the batch would end by its own header, when that is intact. */
  readonly claimedEnd: number | undefined;
}

/** Where a scan stopped: the end of the last good batch. */
export interface ScanEnd {
  readonly position: number;
  /** Offset behind the last good batch. */
  readonly nextOffset: bigint;
  readonly fault: ScanFault | undefined;
}

export interface ScanRange {
  readonly file: Pick<DiskFile, 'read'>;
  /** Seed of the partition's header checksums. */
  readonly seed: number;
  /** Where a batch begins. */
  readonly position: number;
  /** End of the bytes to look at. */
  readonly end: number;
  /** Offset that the first batch must have. */
  readonly nextOffset: bigint;
  /** Compaction was here: a batch may begin above the end of the one before it. */
  readonly mayHaveGaps: boolean;
  /** Read and check the records too of batches that begin here or later; undefined = headers only. */
  readonly verifyFrom?: number;
}

/** True when the header at `at` is intact: canonical, of this partition, no longer than a batch may be. */
export function isIntactHeader(bytes: Uint8Array, at: number, seed: number): boolean {
  return isBatchAt(bytes, at) && batchBytesAt(bytes, at) <= BATCH_BYTES_MAX && verifyHeaderCrc(bytes, at, seed);
}

/** What an index would hold of the batch at `at`, whose place in the file is `position`. */
export function indexEntryOf(bytes: Uint8Array, at: number, position: number): IndexEntry {
  return {
    baseOffset: baseOffsetAt(bytes, at),
    maxTimestampMs: maxTimestampMsAt(bytes, at),
    position,
    batchBytes: batchBytesAt(bytes, at),
    lastOffsetDelta: lastOffsetDeltaAt(bytes, at),
    leaderEpoch: leaderEpochAt(bytes, at),
    headerCrc: headerCrcAt(bytes, at),
  };
}

/**
 * Calls `visit` for each good batch from `range.position` on, with the bytes that hold its header (and its records when
 * they are verified, or control records) and its place in the file; a visit that answers false stops the scan behind it.
 */
export async function scanBatches(
  range: ScanRange,
  visit: (bytes: Buffer, at: number, position: number) => boolean | undefined,
): Promise<ScanEnd> {
  const window = new Window(range.file, range.end);
  const { verifyFrom = Infinity } = range;
  let { position, nextOffset } = range;
  let goesOn = true;
  while (goesOn && position < range.end) {
    const stop = (fault: ScanFault): ScanEnd => ({ position, nextOffset, fault });
    if (!(await window.holds(position, HEADER_BYTES))) return stop({ why: 'cut short', claimedEnd: undefined });
    let at = window.indexOf(position);
    if (!isIntactHeader(window.bytes, at, range.seed)) return stop({ why: 'bad header', claimedEnd: undefined });
    const claimedEnd = position + batchBytesAt(window.bytes, at);
    if (!follows(baseOffsetAt(window.bytes, at), nextOffset, range)) return stop({ why: 'wrong offset', claimedEnd });
    if (claimedEnd > range.end) return stop({ why: 'cut short', claimedEnd });
    if (position >= verifyFrom || batchTypeAt(window.bytes, at) !== BATCH_DATA) {
      await window.holds(position, claimedEnd - position);
      at = window.indexOf(position);
      if (!verifyRecordsCrc(window.bytes, at)) return stop({ why: 'bad records', claimedEnd });
    }
    nextOffset = lastOffsetAt(window.bytes, at) + 1n;
    goesOn = visit(window.bytes, at, position) ?? true;
    position = claimedEnd;
  }
  return { position, nextOffset, fault: undefined };
}

function follows(baseOffset: bigint, nextOffset: bigint, range: ScanRange): boolean {
  return baseOffset === nextOffset || (range.mayHaveGaps && baseOffset > nextOffset);
}

/** The part of a file that is in memory. */
class Window {
  bytes: Buffer = Buffer.alloc(0);
  readonly #file: Pick<DiskFile, 'read'>;
  readonly #end: number;
  #start = 0;

  constructor(file: Pick<DiskFile, 'read'>, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** Index in `bytes` of a place in the file. */
  indexOf(position: number): number {
    return position - this.#start;
  }

  /** Reads on, if need be, so that `length` bytes from `position` are in memory; false when the file has fewer. */
  async holds(position: number, length: number): Promise<boolean> {
    if (position >= this.#start && position + length <= this.#start + this.bytes.length) return true;
    const wanted = Math.min(Math.max(length, WINDOW_BYTES), this.#end - position);
    const bytes = Buffer.allocUnsafe(wanted);
    this.bytes = bytes.subarray(0, await this.#file.read(bytes, position));
    this.#start = position;
    return this.bytes.length >= length;
  }
}
