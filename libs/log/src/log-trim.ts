/** Removes the segments of a log that retention is done with. */
import type { Segment, SegmentHome } from './segment.ts';
import { stateBefore } from './state-before.ts';

/** Removes those that end at or below the offset, oldest first, never the last. Changes `segments`. */
export async function removeBelow(home: SegmentHome, segments: Segment[], toOffset: bigint): Promise<void> {
  const kept = segments.findIndex(({ endOffset }) => endOffset > toOffset);
  const count = kept < 0 ? segments.length - 1 : Math.min(kept, segments.length - 1);
  if (count === 0) return;
  await keepStateBefore(home, segments.slice(0, count + 1));
  for (const segment of segments.slice(0, count)) {
    segments.shift();
    await segment.remove();
  }
  await home.device.disk.syncDirectory(home.directory);
}

/** The snapshot of what becomes the first segment is made again if need be, while what it is made of is still there. */
async function keepStateBefore(home: SegmentHome, segments: readonly Segment[]): Promise<void> {
  try {
    await stateBefore(home, segments);
  } catch {
    // Damage there is met where the state is needed; that space is freed must not depend on it.
  }
}
