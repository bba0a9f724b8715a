/**
 * Opens the files of a partition. After a clean stop the index says it all. After an unclean one the last segment is
 * verified from the last batch that is known to have been synced, and its end is judged:
 *
 * - A write of at most 4 MiB can be unsynced, and its pages land in any order. So a bad batch above everything that the
 *   index or the broker's checkpoint knows as synced, with no good batch later than 4 MiB behind it, is a torn write that
 *   was never acknowledged: it is cut, with what follows.
 * - Any other bad batch is damage to what was once durable (CORRUPT_BATCH): never cut, the log is not opened.
 * - A log that ends well but too early has lost acknowledged batches: it opens as `suspect` and must not be counted on.
 *
 * With flush=os any amount may be unsynced: the tail is cut at the first bad batch above the index, and the log is
 * suspect when good batches stood behind it.
 */
import { appendTimeMsAt, baseOffsetAt, batchBytesAt, HEADER_BYTES } from '@partita/batch';
import { invariant, WRITE_BYTES_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { isIntactHeader, scanBatches } from './batch-scan.ts';
import type { ScanEnd } from './batch-scan.ts';
import { readFileIfExists } from './disk.ts';
import type { DiskFile } from './disk.ts';
import { EpochHistory } from './epoch-history.ts';
import { INDEX_ENTRY_BYTES } from './offset-index.ts';
import type { IndexEntry, OffsetIndex } from './offset-index.ts';
import { corruptBatch, endOffsetOf, scanStart, Segment } from './segment.ts';
import type { SegmentHome } from './segment.ts';
import { parseSegmentName, segmentPath } from './segment-files.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';

const SEARCH_BYTES = 1024 * 1024;

export interface RecoveryOptions {
  /** The broker stopped in order and this log was closed: nothing needs to be verified. */
  readonly cleanShutdown: boolean;
  /** Offset below which everything was synced, as the broker's checkpoint or clean-shutdown marker says. */
  readonly knownSynced: bigint;
  readonly flush: 'fsync' | 'os';
}

/** What a recovery found. */
export interface RecoveredLog {
  /** Oldest first, at least one; the last one is ready for writing. */
  readonly segments: Segment[];
  readonly epochs: EpochHistory;
  /** 0 when the log is empty and always was. */
  readonly lastAppendTimeMs: bigint;
  /** Bytes of a torn write that were cut off. */
  readonly cutBytes: number;
  /** Why acknowledged batches may be missing; undefined when none are. */
  readonly suspect: string | undefined;
}

/** A recovered tail: the last segment, and what its batches tell. */
interface Tail {
  readonly cutBytes: number;
  readonly suspect: string | undefined;
  /** Append time of the last batch; undefined when the segment is empty. */
  readonly lastAppendTimeMs: bigint | undefined;
}

export async function recoverLog(home: SegmentHome, options: RecoveryOptions): Promise<RecoveredLog> {
  const segments = await listSegments(home);
  let last = segments.at(-1);
  // A program that was killed may have left names that are seen, but not on the device.
  if (!options.cleanShutdown) await home.device.disk.syncDirectory(home.directory);
  if (last === undefined) {
    const lost = options.knownSynced > 0n ? `the files of offsets below ${options.knownSynced} are gone` : undefined;
    last = await Segment.create(home, 0n);
    return { segments: [last], epochs: new EpochHistory(), lastAppendTimeMs: 0n, cutBytes: 0, suspect: lost };
  }
  if (await isUnborn(last)) {
    last = await Segment.create(home, last.baseOffset);
    segments[segments.length - 1] = last;
  }
  await last.verifyHeader();
  const tail = await recoverTail(last, options);
  const snapshot = await stateBefore(home, segments);
  const epochs = new EpochHistory(snapshot.epochs);
  foldEpochs(epochs, await last.index());
  const suspect =
    last.endOffset < options.knownSynced
      ? `the log ends at offset ${last.endOffset}, but was durable up to ${options.knownSynced}`
      : tail.suspect;
  return {
    segments,
    epochs,
    lastAppendTimeMs: tail.lastAppendTimeMs ?? snapshot.lastAppendTimeMs,
    cutBytes: tail.cutBytes,
    suspect,
  };
}

/**
 * Reads the end of a segment again after the log was cut there on purpose: notes what its index lacks and opens it for
 * writing. The append time is that of its last batch, undefined without one.
 */
export async function reopenTail(segment: Segment): Promise<bigint | undefined> {
  const clean: RecoveryOptions = { cleanShutdown: true, knownSynced: 0n, flush: 'fsync' };
  return (await recoverTail(segment, clean)).lastAppendTimeMs;
}

/** The segments in the directory, oldest first; removes what a crash left of files that were being made. */
async function listSegments(home: SegmentHome): Promise<Segment[]> {
  const { disk } = home.device;
  const names = await disk.list(home.directory);
  const parsed = names.map((name) => ({ name, file: parseSegmentName(name) }));
  const bases = parsed.flatMap(({ file }) => (file?.kind === 'log' ? [file.baseOffset] : []));
  for (const { name, file } of parsed) {
    const isOrphan = file !== undefined && !bases.includes(file.baseOffset);
    if (isOrphan || name.endsWith('.new')) await disk.unlink(`${home.directory}/${name}`);
  }
  return bases.map((base, index) => new Segment(home, base, bases[index + 1] ?? base));
}

/** True when the broker stopped while it made the file: it never held a batch. */
async function isUnborn(segment: Segment): Promise<boolean> {
  const size = await segment.use((file) => file.size());
  if (size > SEGMENT_HEADER_BYTES || (await segment.readIndexFile()).index.count > 0) return false;
  const bytes = Buffer.alloc(size);
  await segment.use((file) => file.read(bytes, 0));
  return decodeSegmentHeader(bytes) === undefined;
}

async function recoverTail(segment: Segment, options: RecoveryOptions): Promise<Tail> {
  const size = await segment.use((file) => file.size());
  const { index, fileBytes } = await segment.readIndexFile();
  const indexed = index.at(index.count - 1);
  // The index may name batches behind the end of a log that lost bytes: what is left is judged all the same.
  for (let entry = indexed; entry !== undefined && entry.position + HEADER_BYTES > size;) {
    index.keep(index.count - 1);
    entry = index.at(index.count - 1);
  }
  const intactCount = index.count;
  let lastAppendTimeMs: bigint | undefined;
  const end = await scanTail(segment, index, size, !options.cleanShutdown, (bytes, at) => {
    lastAppendTimeMs = appendTimeMsAt(bytes, at);
  });
  const suspect = await judgeEnd(segment, { end, size, indexed }, options);
  if (!options.cleanShutdown) {
    const from = options.flush === 'fsync' ? Math.min(syncedBytes(indexed), end.position) : end.position;
    await secureTail(segment, from, end.position, size);
  }
  segment.endOffset = end.nextOffset;
  if (fileBytes !== intactCount * INDEX_ENTRY_BYTES) await segment.replaceIndexFile(index, intactCount);
  segment.resume(index, intactCount, end.position);
  return { cutBytes: size - end.position, suspect, lastAppendTimeMs };
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
  if (options.cleanShutdown || isKnown) throw corruptBatch(segment.home, segment.path, end.position, end.fault.why);
  if (!(await hasBatchBehind(segment, end, size, end.position + (isSynced ? WRITE_BYTES_MAX : 0)))) return undefined;
  if (isSynced) throw corruptBatch(segment.home, segment.path, end.position, end.fault.why);
  return `batches behind offset ${end.nextOffset} were written but cannot be read`;
}

/** Scans from the batch of the last index entry on and notes in the index what lies behind it. */
async function scanTail(
  segment: Segment,
  index: OffsetIndex,
  size: number,
  verifyRecords: boolean,
  visit: (bytes: Buffer, at: number) => void,
): Promise<ScanEnd> {
  if (!verifyRecords) return segment.extendIndex(index, size, visit);
  const start = scanStart(segment, index.at(index.count - 1));
  const scan = (): Promise<ScanEnd> =>
    segment.use((file) =>
      scanBatches({ file, seed: segment.home.seed, ...start, end: size, verifyRecords: true }, (bytes, at) => {
        visit(bytes, at);
        return true;
      }),
    );
  let end = await scan();
  // What is bad may be so on the way of one reading only; nothing is cut for that.
  if (end.fault !== undefined) {
    const again = await scan();
    if (again.position < end.position) throw readsDiffer(segment, again.position);
    end = again;
  }
  const extended = await segment.extendIndex(index, end.position);
  if (extended.nextOffset !== end.nextOffset) throw readsDiffer(segment, extended.position);
  return end;
}

/** The same bytes read differently twice: nothing is decided by them, the next start tries again. */
function readsDiffer(segment: Segment, position: number): PartitaError {
  return corruptBatch(segment.home, segment.path, position, 'it read differently twice');
}

/**
 * Cuts the torn end off and makes the rest of the tail durable. The bytes behind the last known sync are written again
 * in place: after a failed fsync Linux takes their pages for clean, and a mere fsync would answer OK without writing.
 */
async function secureTail(segment: Segment, from: number, end: number, size: number): Promise<void> {
  if (from === end && end === size) return;
  await segment.use(async (file) => {
    if (end < size) await file.truncate(end);
    for (let position = from; position < end; position += WRITE_BYTES_MAX) {
      const bytes = Buffer.alloc(Math.min(WRITE_BYTES_MAX, end - position));
      const again = Buffer.alloc(bytes.length);
      await file.read(bytes, position);
      await file.read(again, position);
      // What the scan verified must not be written over with a bit that was wrong on the way of this reading.
      if (!bytes.equals(again)) throw readsDiffer(segment, position);
      await file.writev([bytes], position);
    }
    await file.datasync();
  });
}

/**
 * True when a batch of this log with an intact header begins at or behind `least`. From the end of the bad batch, when
 * its own header is good, and from each good batch the search goes on behind the batch: a value may hold a whole batch.
 */
async function hasBatchBehind(segment: Segment, bad: ScanEnd, size: number, least: number): Promise<boolean> {
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

/** The state before the last segment: its snapshot, or what an older one and the indexes behind that give. */
export async function stateBefore(home: SegmentHome, segments: readonly Segment[]): Promise<Snapshot> {
  const lastNumber = segments.length - 1;
  let number = lastNumber;
  let snapshot = await readSnapshot(home, segments[number]);
  while (snapshot === undefined && number > 0) {
    number -= 1;
    snapshot = await readSnapshot(home, segments[number]);
  }
  const last = segments[lastNumber];
  invariant(last !== undefined, 'a log has a segment');
  if (snapshot === undefined) {
    const path = segmentPath(home.directory, last.baseOffset, 'snapshot');
    throw corruptBatch(home, path, 0, 'it is missing or damaged, and so are all before it');
  }
  if (number === lastNumber) return snapshot;
  const epochs = new EpochHistory(snapshot.epochs);
  let { lastAppendTimeMs } = snapshot;
  for (const segment of segments.slice(number, lastNumber)) {
    const index = await segment.index();
    foldEpochs(epochs, index);
    const entry = index.at(index.count - 1);
    if (entry === undefined) continue;
    const header = Buffer.alloc(HEADER_BYTES);
    await segment.use((file) => file.read(header, entry.position));
    if (!isIntactHeader(header, 0, home.seed)) throw corruptBatch(home, segment.path, entry.position, 'bad header');
    lastAppendTimeMs = appendTimeMsAt(header, 0);
  }
  const rebuilt: Snapshot = { baseOffset: last.baseOffset, lastAppendTimeMs, epochs: epochs.starts };
  await writeSnapshot(home, rebuilt);
  return rebuilt;
}

async function readSnapshot(home: SegmentHome, segment: Segment | undefined): Promise<Snapshot | undefined> {
  if (segment === undefined) return undefined;
  if (segment.baseOffset === 0n) return { baseOffset: 0n, lastAppendTimeMs: 0n, epochs: [] };
  const bytes = await readFileIfExists(home.device.disk, segmentPath(home.directory, segment.baseOffset, 'snapshot'));
  const snapshot = bytes === undefined ? undefined : decodeSnapshot(bytes);
  return snapshot?.baseOffset === segment.baseOffset ? snapshot : undefined;
}

/** Puts the snapshot of a segment in place, durable on return. */
export async function writeSnapshot(home: SegmentHome, snapshot: Snapshot): Promise<void> {
  const path = segmentPath(home.directory, snapshot.baseOffset, 'snapshot');
  await home.device.disk.writeFileAtomically(path, encodeSnapshot(snapshot));
}

function foldEpochs(epochs: EpochHistory, index: OffsetIndex): void {
  for (let number = 0; number < index.count; number += 1) {
    const entry = index.at(number);
    if (entry !== undefined) epochs.note(entry.leaderEpoch, entry.baseOffset);
  }
}
