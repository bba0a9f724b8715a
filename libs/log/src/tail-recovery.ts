/**
 * Judges the end of the last segment, makes the rest of it durable and opens it for writing. See recovery.ts for the
 * rules.
 */
import { appendTimeMsAt, baseOffsetAt, batchBytesAt, HEADER_BYTES } from '@partita/batch';
import { CLOSING_SNAPSHOT_BYTES_MIN, invariant, WRITE_BYTES_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { indexEntryOf, isIntactHeader, scanBatches } from './batch-scan.ts';
import type { ScanEnd } from './batch-scan.ts';
import type { DiskFile } from './disk.ts';
import type { LogState } from './log-state.ts';
import { INDEX_ENTRY_BYTES } from './offset-index.ts';
import type { IndexEntry, OffsetIndex } from './offset-index.ts';
import type { RecoveryOptions } from './recovery.ts';
import { corruptBatch, endOffsetOf, scanStart } from './segment.ts';
import type { Segment } from './segment.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { SegmentLook } from './segment-look.ts';

const SEARCH_BYTES = 1024 * 1024;

/** A recovered tail. */
export interface Tail {
  readonly state: LogState;
  /** Bytes of a torn write that were cut off. */
  readonly cutBytes: number;
  readonly suspect: string | undefined;
}

/** What a tail is judged by. */
export interface TailOptions extends RecoveryOptions {
  /** The state at the end of the segment when a clean stop wrote it down; undefined when there is none for that end. */
  readonly closingState: (endOffset: bigint) => Promise<LogState | undefined>;
  /** The state before the segment's first batch. */
  readonly stateBefore: () => Promise<LogState>;
}

/** Recovers the last segment of a log. CORRUPT_BATCH when what was durable is damaged; then nothing has changed. */
export async function recoverTail(segment: Segment, look: SegmentLook, options: TailOptions): Promise<Tail> {
  const { size } = look;
  const { index, fileBytes } = await segment.readIndexFile();
  const indexed = index.at(index.count - 1);
  // The index may name batches behind the end of a log that lost bytes: what is left is judged all the same.
  for (let entry = indexed; entry !== undefined && entry.position + HEADER_BYTES > size;) {
    index.keep(index.count - 1);
    entry = index.at(index.count - 1);
  }
  const intactCount = index.count;
  const { end, state } = await scanTail(segment, { index, look }, options);
  const suspect = await judgeEnd(segment, { end, size, indexed }, options);
  if (suspect !== undefined) await options.onSuspect?.(suspect);
  if (!options.cleanShutdown) {
    await secureTail(segment, Math.min(syncedBytes(indexed), end.position), end.position, size);
  }
  segment.endOffset = end.nextOffset;
  segment.firstAppendTimeMs = await firstAppendTimeMs(look, index);
  if (fileBytes !== intactCount * INDEX_ENTRY_BYTES) await segment.replaceIndexFile(index, intactCount);
  segment.resume(index, intactCount, end.position);
  return { state, cutBytes: size - end.position, suspect };
}

/** Notes in the index what it lacks, and folds the segment into the state. After an unclean stop the tail is verified. */
async function scanTail(
  segment: Segment,
  { index, look }: { index: OffsetIndex; look: SegmentLook },
  options: TailOptions,
): Promise<{ end: ScanEnd; state: LogState }> {
  const intactCount = index.count;
  // A smaller one was left without: it is read once, below.
  if (options.cleanShutdown && look.size >= CLOSING_SNAPSHOT_BYTES_MIN) {
    const end = await segment.extendIndex(look, index, look.size);
    const closing = end.fault === undefined ? await options.closingState(end.nextOffset) : undefined;
    if (closing !== undefined) return { end, state: closing };
  }
  const first = await walkTail(segment, { index, look }, options);
  if (first.end.fault === undefined || options.cleanShutdown) return first;
  // What is bad may be so on the way of one reading only; nothing is cut for that.
  index.keep(intactCount);
  const second = await walkTail(segment, { index, look: await SegmentLook.at(segment) }, options);
  if (second.end.position < first.end.position) throw readsDiffer(segment, second.end.position);
  return second;
}

/** One reading of the tail: every batch into the state, those that the index lacks into the index. */
async function walkTail(
  segment: Segment,
  { index, look }: { index: OffsetIndex; look: SegmentLook },
  options: TailOptions,
): Promise<{ end: ScanEnd; state: LogState }> {
  const last = index.at(index.count - 1);
  const verifyFrom = options.cleanShutdown ? Infinity : scanStart(segment, last).position;
  const state = await options.stateBefore();
  const range = { seed: segment.home.seed, ...scanStart(segment, undefined), end: look.size, verifyFrom };
  const end = await scanBatches({ ...range, file: look }, (bytes, at, position) => {
    state.note(bytes, at);
    if (last === undefined || position > last.position) index.note(indexEntryOf(bytes, at, position));
    return true;
  });
  return { end, state };
}

/** The same bytes read differently twice: nothing is decided by them, the next start tries again. */
function readsDiffer(segment: Segment, position: number): PartitaError {
  return corruptBatch(segment.home, segment.path, position, 'it read differently twice');
}

/** Where the scan of a tail ended, the file's size, and the last entry of its index. */
interface TailEnd {
  readonly end: ScanEnd;
  readonly size: number;
  readonly indexed: IndexEntry | undefined;
}

/** Bytes of the segment that the index proves to have been synced. */
function syncedBytes(indexed: IndexEntry | undefined): number {
  return indexed === undefined ? SEGMENT_HEADER_BYTES : indexed.position + indexed.batchBytes;
}

/** Throws CORRUPT_BATCH when what stands behind the end is no torn write; otherwise says why the log is suspect, if so. */
async function judgeEnd(segment: Segment, tail: TailEnd, options: RecoveryOptions): Promise<string | undefined> {
  const { end, size, indexed } = tail;
  if (end.fault === undefined) {
    if (indexed === undefined || end.nextOffset >= endOffsetOf(indexed)) return undefined;
    return `the log ends at offset ${end.nextOffset}, but its index knows ${endOffsetOf(indexed)}`;
  }
  const isSynced = options.flush === 'fsync';
  const isKnown = end.position < syncedBytes(indexed) || (isSynced && end.nextOffset < options.knownSynced);
  if (options.cleanShutdown || isKnown) throw corruptBatch(segment.home, segment.path, end, end.fault.why);
  if (!(await hasBatchBehind(segment, end, size, end.position + (isSynced ? WRITE_BYTES_MAX : 0)))) return undefined;
  if (isSynced) throw corruptBatch(segment.home, segment.path, end, end.fault.why);
  return `batches behind offset ${end.nextOffset} were written but cannot be read`;
}

/**
 * Cuts the torn end off and makes the rest of the tail durable. The bytes behind the last known sync are written again
 * in place: after a failed fsync Linux takes their pages for clean, and a mere fsync would answer OK without writing.
 */
async function secureTail(segment: Segment, from: number, end: number, size: number): Promise<void> {
  // Where offsets do not tell, what a write that broke off left behind the end must not come back behind the next one.
  if (from === end && end === size && !segment.isSparse) return;
  await segment.use(async (file) => {
    if (end < size) await file.truncate(end);
    for (let position = from; position < end; position += WRITE_BYTES_MAX) {
      const bytes = Buffer.alloc(Math.min(WRITE_BYTES_MAX, end - position));
      const again = Buffer.alloc(bytes.length);
      const read = await file.read(bytes, position);
      invariant(read === bytes.length, `${segment.path} has ${position + read} bytes, and had ${end} before`);
      await file.read(again, position);
      // What the scan verified must not be written over with a bit that was wrong on the way of this reading.
      if (!bytes.equals(again)) throw readsDiffer(segment, position);
      await file.writev([bytes], position);
    }
    await file.datasync();
  });
}

async function firstAppendTimeMs(look: SegmentLook, index: OffsetIndex): Promise<bigint | undefined> {
  const first = index.at(0);
  if (first === undefined) return undefined;
  const header = Buffer.alloc(HEADER_BYTES);
  await look.read(header, first.position);
  return appendTimeMsAt(header, 0);
}

/**
 * True when a batch of this log with an intact header begins at or behind `least`. From the end of the bad batch, when
 * its own header is good, and from each good batch the search goes on behind the batch: a value may hold a whole batch.
 */
export async function hasBatchBehind(segment: Segment, bad: ScanEnd, size: number, least: number): Promise<boolean> {
  let position = bad.fault?.claimedEnd ?? bad.position + 1;
  while (position + HEADER_BYTES <= size) {
    const wanted = Math.min(SEARCH_BYTES, size - position);
    const bytes = Buffer.alloc(wanted);
    const read = await segment.use((file: DiskFile) => file.read(bytes, position));
    const at = nextHeader(bytes.subarray(0, read), segment.home.seed, bad.nextOffset);
    if (at === undefined) {
      position += Math.max(1, wanted - HEADER_BYTES + 1);
      continue;
    }
    if (position + at >= least) return true;
    position += at + batchBytesAt(bytes, at);
  }
  return false;
}

function nextHeader(bytes: Buffer, seed: number, leastOffset: bigint): number | undefined {
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
    if (at + HEADER_BYTES > bytes.length) return undefined;
    if (isIntactHeader(bytes, at, seed) && baseOffsetAt(bytes, at) >= leastOffset) return at;
  }
  return undefined;
}
