/**
 * Cuts the end of a log off: what a follower does with batches that its new leader does not have. The index goes before
 * the log, so that after a crash it never knows a batch that the log lacks.
 */
import { lastOffsetAt } from '@partita/batch';
import { invariant } from '@partita/domain';
import { scanBatches } from './batch-scan.ts';
import type { ScanEnd, ScanRange } from './batch-scan.ts';
import type { LogState } from './log-state.ts';
import { reopenTail } from './recovery.ts';
import { parseSegmentName } from './segment-files.ts';
import { corruptBatch, scanStart } from './segment.ts';
import type { Segment, SegmentHome } from './segment.ts';

/**
 * Removes everything from `toOffset` on and opens what is then the last segment for writing. Changes `segments`. Returns
 * the state of what is left.
 */
export async function cutLog(home: SegmentHome, segments: Segment[], toOffset: bigint): Promise<LogState> {
  await removeUnborn(home, segments.at(-1)?.baseOffset ?? 0n);
  for (let last = segments.at(-1); last !== undefined && last.baseOffset > toOffset; last = segments.at(-1)) {
    await last.remove();
    await home.device.disk.syncDirectory(home.directory);
    segments.pop();
  }
  const last = segments.at(-1);
  invariant(last !== undefined, `a log that is cut at ${toOffset} keeps a segment`);
  await cutSegment(last, toOffset);
  return reopenTail(home, segments);
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

async function cutSegment(segment: Segment, toOffset: bigint): Promise<void> {
  const index = await segment.index();
  const start = scanStart(segment, index.at(index.floorNumber(toOffset)));
  const range = { seed: segment.home.seed, ...start, end: segment.size };
  const cut = await segment.use((file) => scanUpTo({ ...range, file }, toOffset));
  if (cut.fault !== undefined) throw corruptBatch(segment.home, segment.path, cut.position, cut.fault.why);
  invariant(cut.nextOffset === toOffset, `offset ${toOffset} to cut at is not where a batch begins`);
  const count = index.floorNumber(toOffset - 1n) + 1;
  // With flush=os nothing below the cut need be on the device yet, and an index may only know what is.
  await segment.use((file) => file.datasync());
  await segment.replaceIndexFile(index, count);
  await segment.use(async (file) => {
    await file.truncate(cut.position);
    await file.datasync();
  });
}

/** Scans until the next batch begins at or above the offset. */
async function scanUpTo(range: ScanRange, toOffset: bigint): Promise<ScanEnd> {
  if (range.nextOffset >= toOffset) return { position: range.position, nextOffset: range.nextOffset, fault: undefined };
  return scanBatches(range, (bytes, at) => lastOffsetAt(bytes, at) + 1n < toOffset);
}
