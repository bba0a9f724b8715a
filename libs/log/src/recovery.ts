/**
 * Opens the files of a partition. After a clean stop the index says it all. After an unclean one the headers of the last
 * segment are walked, it is verified from the last batch that is known to have been synced, and its end is judged:
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
import { CLOSING_SNAPSHOT_BYTES_MIN } from '@partita/domain';
import { isCompactionName } from './compaction/compacted-names.ts';
import { NEVER_COMPACTED } from './compaction/compaction-state.ts';
import type { CompactionState } from './compaction/compaction-state.ts';
import { finishCompaction, forgetCompaction, lowerCleaned } from './compaction/compaction-swap.ts';
import { unlinkIfExists } from './disk.ts';
import { completeRestart } from './log-restart.ts';
import { LogState } from './log-state.ts';
import { readRestartNote, RESTART_NAME } from './restart-note.ts';
import { Segment } from './segment.ts';
import type { SegmentHome } from './segment.ts';
import { parseSegmentName, segmentPath } from './segment-files.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { SegmentLook } from './segment-look.ts';
import { EMPTY_SNAPSHOT } from './snapshot.ts';
import { readSnapshot, stateBefore, writeSnapshot } from './state-before.ts';
import { hasBatchBehind, recoverTail } from './tail-recovery.ts';

export interface RecoveryOptions {
  /** The broker stopped in order and this log was closed: nothing needs to be verified. */
  readonly cleanShutdown: boolean;
  /** Offset below which everything was synced, as the broker's checkpoint or clean-shutdown marker says. */
  readonly knownSynced: bigint;
  readonly flush: 'fsync' | 'os';
  /** What lies below was deleted on purpose; segments that end there or before are removed. */
  readonly logStart: bigint;
  /** Awaited before recovery changes a file that is the proof that something acknowledged is missing. */
  readonly onSuspect?: (why: string) => Promise<void>;
}

/** What a recovery found. */
export interface RecoveredLog {
  /** Oldest first, at least one; the last one is ready for writing. */
  readonly segments: Segment[];
  /** How far it was compacted. */
  readonly compaction: CompactionState;
  /** The fold of all that is in the log or was. */
  readonly state: LogState;
  /** Bytes of a torn write that were cut off. */
  readonly cutBytes: number;
  /** Why acknowledged batches may be missing; undefined when none are. */
  readonly suspect: string | undefined;
}

/** Recovers the log from the files of its directory, `names`. */
export async function recoverLog(
  home: SegmentHome,
  names: readonly string[],
  options: RecoveryOptions,
): Promise<RecoveredLog> {
  const { knownSynced, cleanShutdown } = options;
  const begun = await findBeginning(home, names);
  const { segments, deleted, compaction } = await findSegments(home, begun.names, options);
  let last = segments.at(-1);
  // A program that was killed may have left names that are seen, but not on the device.
  if (!cleanShutdown || deleted.length > 0) await home.device.disk.syncDirectory(home.directory);
  if (last === undefined) {
    const known = most(knownSynced, begun.baseOffset);
    const lost = known > 0n ? `the files of offsets below ${known} are gone` : undefined;
    last = await Segment.create(home, 0n);
    return { segments: [last], compaction, state: new LogState(EMPTY_SNAPSHOT), cutBytes: 0, suspect: lost };
  }
  let look = await SegmentLook.at(last);
  if (await isUnborn(last, look, knownSynced)) {
    // A log that is refused for what lies before is left as it is.
    await stateBefore(home, segments);
    last = await Segment.create(home, last.baseOffset);
    segments[segments.length - 1] = last;
    look = await SegmentLook.at(last);
  }
  await last.verifyHeader(look);
  const { state, cutBytes, suspect } = await recoverTail(last, look, {
    ...options,
    closingState: async (endOffset) => {
      const closing = cleanShutdown && endOffset > 0n ? await readSnapshot(home, endOffset) : undefined;
      return closing === undefined ? undefined : new LogState(closing);
    },
    stateBefore: () => stateBefore(home, segments),
  });
  if (hasClosingSnapshot(last)) {
    // It speaks of this moment only: once the log has been written or cut it would be wrong.
    await unlinkIfExists(home.device.disk, segmentPath(home.directory, last.endOffset, 'snapshot'));
  }
  // Not before: until what stays is durable they alone say where the log ends.
  for (const segment of deleted) await segment.remove();
  const known = await lowerCleaned(home.device.disk, home.directory, compaction, last.endOffset);
  return {
    segments,
    compaction: known,
    state,
    cutBytes,
    suspect: missing(segments, last, { knownSynced, logStart: most(options.logStart, begun.baseOffset) }) ?? suspect,
  };
}

/** Why acknowledged batches are missing at one of the ends of the log; undefined when none are. */
function missing(
  segments: readonly Segment[],
  last: Segment,
  known: { readonly knownSynced: bigint; readonly logStart: bigint },
): string | undefined {
  const { knownSynced, logStart } = known;
  const first = segments[0]?.baseOffset ?? 0n;
  // What is deleted on purpose is noted before its files go.
  if (first > logStart) return `the log begins at offset ${first}, but only what lies below ${logStart} was deleted`;
  if (last.endOffset >= knownSynced) return undefined;
  return `the log ends at offset ${last.endOffset}, but was durable up to ${knownSynced}`;
}

/**
 * Reads the end of the last segment again after the log was cut there on purpose: notes what its index lacks and opens
 * it for writing. Returns the state up to there.
 */
export async function reopenTail(home: SegmentHome, segments: readonly Segment[]): Promise<LogState> {
  const segment = segments.at(-1);
  if (segment === undefined) throw new RangeError('a log has a segment');
  const { state } = await recoverTail(segment, await SegmentLook.at(segment), {
    ...{ cleanShutdown: true, knownSynced: 0n, flush: 'fsync', logStart: 0n },
    closingState: () => Promise.resolve(undefined),
    stateBefore: () => stateBefore(home, segments),
  });
  return state;
}

/**
 * Writes the state at the end of the log down, durable on return, so that the next start need not read the last segment
 * for it. Not for a small one, which costs less to read than a file to write.
 */
export async function writeClosingSnapshot(home: SegmentHome, last: Segment, state: LogState): Promise<void> {
  if (hasClosingSnapshot(last)) await writeSnapshot(home, state.snapshot(last.endOffset));
}

function hasClosingSnapshot(last: Segment): boolean {
  return !last.isEmpty && last.size >= CLOSING_SNAPSHOT_BYTES_MIN;
}

/** Where the log last began anew on purpose, once such a change that was under way is completed; and the names then. */
async function findBeginning(
  home: SegmentHome,
  names: readonly string[],
): Promise<{ names: readonly string[]; baseOffset: bigint }> {
  const { disk } = home.device;
  const note = names.includes(RESTART_NAME) ? await readRestartNote(disk, home.directory) : undefined;
  if (note?.snapshot === undefined) return { names, baseOffset: note?.baseOffset ?? 0n };
  await completeRestart(home, note);
  return { names: await disk.list(home.directory), baseOffset: note.baseOffset };
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

/** The segments of the names, once a compaction that was under way is completed. */
async function findSegments(
  home: SegmentHome,
  names: readonly string[],
  options: RecoveryOptions,
): Promise<{ segments: Segment[]; deleted: Segment[]; compaction: CompactionState }> {
  const { device, directory } = home;
  if (!names.some(isCompactionName)) {
    return { ...(await listSegments(home, names, options)), compaction: NEVER_COMPACTED };
  }
  const compaction = await finishCompaction(device.disk, directory);
  const listed = await listSegments(home, await device.disk.list(directory), options);
  const last = listed.segments.at(-1);
  if (last === undefined) await forgetCompaction(device.disk, directory);
  if (last === undefined || compaction === undefined) return { ...listed, compaction: NEVER_COMPACTED };
  expectGaps(home, last, compaction);
  return { ...listed, compaction };
}

/**
 * Where holes are expected whatever the headers say: in all segments but the last, and in that too when it is what a cut
 * left of one that was compacted.
 */
export function expectGaps(home: SegmentHome, last: Segment, compaction: CompactionState): void {
  home.gaps.below = compaction.cleanedTo > last.baseOffset ? compaction.cleanedTo : last.baseOffset;
}

/** The segments of the names, oldest first, apart from those that are to be deleted; removes what a crash left. */
async function listSegments(
  home: SegmentHome,
  names: readonly string[],
  options: RecoveryOptions,
): Promise<{ segments: Segment[]; deleted: Segment[] }> {
  const { disk } = home.device;
  const parsed = names.map((name) => ({ name, file: parseSegmentName(name) }));
  const bases = parsed.flatMap(({ file }) => (file?.kind === 'log' ? [file.baseOffset] : []));
  for (const { name, file } of parsed) {
    const isClosing = file?.kind === 'snapshot' && options.cleanShutdown && file.baseOffset === options.knownSynced;
    const isOrphan = file !== undefined && !isClosing && !bases.includes(file.baseOffset);
    if (isOrphan || name.endsWith('.new')) await disk.unlink(`${home.directory}/${name}`);
  }
  const segments = bases.map((base, index) => new Segment(home, base, bases[index + 1] ?? base));
  // A crash may have removed a later one of the segments to be deleted and left an earlier one.
  const deleted = segments.slice(0, -1).filter(({ endOffset }) => endOffset <= options.logStart);
  segments.splice(0, deleted.length);
  for (const sealed of segments.slice(0, -1)) sealed.size = await disk.fileBytes(sealed.path);
  return { segments, deleted };
}

/**
 * True when the broker stopped while it made the file: it never held a batch that was acknowledged. Its header may have
 * been seen and not be on the device, when a sync had failed; but what was acknowledged made it durable too, since the
 * first batch begins on the header's page. So a file with batches has a header that is damaged, not one that never was.
 */
async function isUnborn(segment: Segment, look: SegmentLook, knownSynced: bigint): Promise<boolean> {
  const header = Buffer.alloc(Math.min(look.size, SEGMENT_HEADER_BYTES));
  await look.read(header, 0);
  if (decodeSegmentHeader(header) !== undefined) return false;
  if (knownSynced > segment.baseOffset || (await segment.readIndexFile()).index.count > 0) return false;
  const start = { position: 0, nextOffset: segment.baseOffset, fault: undefined };
  return !(await hasBatchBehind(segment, start, look.size, 0));
}
