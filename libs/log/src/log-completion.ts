/** The end of a clean stop: what the next start needs so that it verifies nothing. */
import type { LogWriter } from './log-writer.ts';
import { writeClosingSnapshot } from './recovery.ts';
import type { Segment, SegmentHome } from './segment.ts';

/** Writes it down once nothing else works on the files; false when it cannot. */
export async function completeLog(
  home: SegmentHome,
  segments: readonly Segment[],
  writer: LogWriter,
): Promise<boolean> {
  const { queue, hasFailed, active, settings, state } = writer;
  if (queue.count > 0 || hasFailed) return false;
  try {
    for (const segment of segments) if (segment.indexIsToRepair) await segment.repairIndex();
    await active.complete(settings.flush === 'os');
    await writeClosingSnapshot(home, active, state);
    return true;
  } catch {
    // A disk that is full or fails: the next start verifies.
    return false;
  }
}
