/**
 * Cuts the end of a log off: what a follower does with batches that its new leader does not have. The index goes before
 * the log, so that after a crash it never knows a batch that the log lacks.
 */
import { baseOffsetAt, batchBytesAt, lastOffsetAt } from '@partita/batch';
import { invariant } from '@partita/domain';
import { scanBatches } from './batch-scan.ts';
import type { ScanRange } from './batch-scan.ts';
import type { LogState } from './log-state.ts';
import type { CompactionState } from './compaction/compaction-state.ts';
import { lowerCleaned } from './compaction/compaction-swap.ts';
import { expectGaps, reopenTail } from './recovery.ts';
import { parseSegmentName } from './segment-files.ts';
import { corruptBatch, scanStart } from './segment.ts';
import type { Segment, SegmentHome } from './segment.ts';

/** Where a log is to be cut. */
export interface CutPlan {
  /** What becomes the last segment, and its bytes and index entries that stay. */
  readonly segment: Segment;
  readonly position: number;
  readonly entryCount: number;
  /** Where the log then ends: at the offset asked for, or, where a hole lies below it, at the last batch before that. */
  readonly endOffset: bigint;
}

/** Finds where everything from `toOffset` on begins, which must not be within a batch. Changes nothing. */
export async function planCut(segments: readonly Segment[], toOffset: bigint): Promise<CutPlan> {
  const segment = segments.findLast(({ baseOffset }) => baseOffset <= toOffset);
  invariant(segment !== undefined, `a log that is cut at ${toOffset} keeps a segment`);
  const index = await segment.index();
  const entryCount = index.floorNumber(toOffset - 1n) + 1;
  const start = scanStart(segment, index.at(entryCount - 1));
  const cut = await segment.use((file) => findCut(segment, { ...start, file }, toOffset));
  return { segment, entryCount, ...cut };
}

/** Cuts and opens what is then the last segment for writing. Changes `segments`. Returns the state of what is left. */
export async function cutLog(home: SegmentHome, segments: Segment[], plan: CutPlan): Promise<LogState> {
  await removeUnborn(home, segments.at(-1)?.baseOffset ?? 0n);
  for (let last = segments.at(-1); last !== undefined && last !== plan.segment; last = segments.at(-1)) {
    await last.remove();
    await home.device.disk.syncDirectory(home.directory);
    segments.pop();
  }
  await cutSegment(plan);
  return reopenTail(home, segments);
}

/** Lowers what is known of a compaction to the end of a log that was cut, durable on return. */
export async function noteCut(home: SegmentHome, last: Segment, before: CompactionState): Promise<CompactionState> {
  const compaction = await lowerCleaned(home.device.disk, home.directory, before, last.endOffset);
  expectGaps(home, last, compaction);
  return compaction;
}

/**
 * Removes what a roll left that failed for want of space: a segment that the log does not count yet, and that would
 * stand behind a gap once the log ends below it.
 */
async function removeUnborn(home: SegmentHome, lastBase: bigint): Promise<void> {
  const { disk } = home.device;
  const names = await disk.list(home.directory);
  const unborn = names.filter((name) => (parseSegmentName(name)?.baseOffset ?? lastBase) > lastBase);
  for (const name of unborn) await disk.unlink(`${home.directory}/${name}`);
  if (unborn.length > 0) await disk.syncDirectory(home.directory);
}

async function cutSegment({ segment, position, entryCount }: CutPlan): Promise<void> {
  // With flush=os nothing below the cut need be on the device yet, and an index may only know what is.
  await segment.use((file) => file.datasync());
  await segment.replaceIndexFile(await segment.index(), entryCount);
  await segment.use(async (file) => {
    await file.truncate(position);
    await file.datasync();
  });
}

/** Where the last batch below the offset ends; what is behind is not looked at where no hole makes it necessary. */
async function findCut(
  segment: Segment,
  from: Omit<ScanRange, 'seed' | 'end'>,
  toOffset: bigint,
): Promise<Pick<CutPlan, 'position' | 'endOffset'>> {
  let cut = { position: from.position, endOffset: from.nextOffset };
  const range = { ...from, seed: segment.home.seed, end: segment.size };
  const stop = await scanBatches(range, (bytes, at, position) => {
    if (baseOffsetAt(bytes, at) >= toOffset) return false;
    const next = lastOffsetAt(bytes, at) + 1n;
    invariant(next <= toOffset, `offset ${toOffset} to cut at is within a batch`);
    cut = { position: position + batchBytesAt(bytes, at), endOffset: next };
    return next < toOffset;
  });
  if (stop.fault !== undefined) throw corruptBatch(segment.home, segment.path, stop, stop.fault.why);
  return cut;
}
