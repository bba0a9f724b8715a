/** Puts the segments that a compaction made in place of those of an open log. */
import { invariant } from '@partita/domain';
import { diskErrorCode } from '../disk.ts';
import { Segment } from '../segment.ts';
import type { SegmentHome } from '../segment.ts';
import { compactedPath } from './compacted-names.ts';
import type { CompactedGroup, CompactionResult } from './compaction-plan.ts';
import { readCompactionState, withPass } from './compaction-state.ts';
import type { CompactionState } from './compaction-state.ts';
import { removeCompacted, swapIn } from './compaction-swap.ts';

export interface Adoption {
  readonly home: SegmentHome;
  /** The log's own list. */
  readonly segments: Segment[];
  readonly state: CompactionState;
  readonly result: CompactionResult;
  /** The log was cut since the pass was planned. */
  readonly isOutdated: boolean;
  /** Wall clock, milliseconds UTC, undefined when it may be wrong; and the delay that prunes the notes of earlier passes. */
  readonly nowMs: bigint | undefined;
  readonly tombstoneDelayMs: bigint;
}

/** A swap failed half-way: the files are a mix, and only a start can complete it. */
export class SwapError extends Error {
  override readonly name = 'SwapError';
}

/**
 * Swaps the files, then the list, in one step. Nobody may read meanwhile. Returns the new state, or undefined when
 * retention or a cut has removed some of the sources since the plan was made: then the new files are removed. SwapError when the
 * log must not be used any more; any other error means that nothing has changed.
 */
export async function adoptCompaction(adoption: Adoption): Promise<CompactionState | undefined> {
  const { home, segments, state, result, nowMs, tombstoneDelayMs } = adoption;
  const { disk } = home.device;
  if (adoption.isOutdated || !result.groups.every((group) => placeOf(segments, group) !== undefined)) {
    await removeCompacted(disk, home.directory);
    return undefined;
  }
  const pending = result.groups.map(({ sources }) => sources);
  const { cleanedTo } = result;
  // Without a time the pass is not noted: tombstones wait for the next one that is.
  const next =
    nowMs === undefined
      ? { ...state, pending, cleanedTo }
      : withPass({ ...state, pending }, cleanedTo, nowMs, tombstoneDelayMs);
  await closeSources(home, segments, result);
  // Readers that come later must know that offsets may have holes, whichever files they meet.
  const lastBase = segments.at(-1)?.baseOffset ?? 0n;
  if (home.gaps.below < lastBase) home.gaps.below = lastBase;
  let done: CompactionState;
  try {
    done = await swapIn(disk, home.directory, next);
  } catch (error) {
    if (diskErrorCode(error) !== 'ENOSPC' || !(await isUntouched(home, result))) {
      throw new SwapError('a compaction could not be put in place', { cause: error });
    }
    await removeCompacted(disk, home.directory);
    throw error;
  }
  // Whoever opened a file meanwhile, outside of a reading, has the old one.
  await closeSources(home, segments, result);
  for (const group of result.groups) replace(home, segments, group);
  return done;
}

/** Number of the group's first source among the segments, when all of them are there as they were. */
function placeOf(segments: readonly Segment[], group: CompactedGroup): number | undefined {
  const at = segments.findIndex(({ baseOffset }) => baseOffset === group.baseOffset);
  if (at < 0) return undefined;
  const isThere = group.sources.every((base, index) => segments[at + index]?.baseOffset === base);
  // The active segment is never a source, so there is one behind the last of them.
  const next = segments[at + group.sources.length];
  return isThere && next?.baseOffset === group.endOffset ? at : undefined;
}

function replace(home: SegmentHome, segments: Segment[], group: CompactedGroup): void {
  const at = placeOf(segments, group);
  invariant(at !== undefined, `the segments from ${group.baseOffset} to ${group.endOffset} are still there`);
  const segment = new Segment(home, group.baseOffset, group.endOffset);
  segment.size = group.size;
  segments.splice(at, group.sources.length, segment);
}

async function closeSources(home: SegmentHome, segments: readonly Segment[], result: CompactionResult): Promise<void> {
  const sources = new Set(result.groups.flatMap((group) => group.sources));
  for (const segment of segments) if (sources.has(segment.baseOffset)) await segment.close();
}

/**
 * True when the intent of a swap did not get to the disk. That none is there does not say it: the last step of a swap that
 * went well removes it. But then the new files have lost the names that they were made under.
 */
async function isUntouched({ device, directory }: SegmentHome, result: CompactionResult): Promise<boolean> {
  try {
    const { pending } = await readCompactionState(device.disk, directory);
    const names = await device.disk.list(directory);
    const made = result.groups.map(({ baseOffset }) => compactedPath(directory, baseOffset, 'log'));
    return pending.length === 0 && made.every((path) => names.includes(path.slice(directory.length + 1)));
  } catch {
    return false;
  }
}
