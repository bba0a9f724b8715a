/**
 * Reads what is on disk and nobody asks for, so that damage is found while other copies are still good: every batch of a
 * log, both checksums. It only tells; what to do about damage is the operator's or, with replicas, the cluster's matter.
 */
import { scanBatches } from './batch-scan.ts';
import type { ScanEnd } from './batch-scan.ts';
import { diskErrorCode } from './disk.ts';
import { confirmed } from './log-damage.ts';
import type { PartitionLog } from './partition-log.ts';
import { corruptBatch, scanStart } from './segment.ts';
import type { Segment } from './segment.ts';

/** Bytes read between two pauses, about. */
export const SCRUB_STEP_BYTES = 1024 * 1024;

/**
 * Verifies the durable batches of the log. `pause` is awaited after each step with the bytes that it read, and answers
 * false to stop. CORRUPT_BATCH for the first damage that two readings met (damageOf tells where); returns the bytes verified. What retention or compaction replaces
 * meanwhile is passed over.
 */
export async function scrubLog(log: PartitionLog, pause: (bytes: number) => Promise<boolean>): Promise<number> {
  let total = 0;
  for (const segment of [...log.segments]) {
    let at = { ...scanStart(segment, undefined) };
    for (let isDone = false; !isDone && log.segments.includes(segment);) {
      const end = segment.size;
      const from = at;
      const look = (): Promise<ScanEnd | undefined> =>
        log.undisturbed(async () => (log.segments.includes(segment) ? step(segment, from, end) : undefined));
      let stop = await confirmed(look);
      // What is bad may be so on the way of one reading only.
      if (stop?.fault !== undefined) stop = await look();
      if (stop === undefined) break;
      if (stop.fault !== undefined) throw corruptBatch(segment.home, segment.path, stop, stop.fault.why);
      const bytes = stop.position - at.position;
      total += bytes;
      isDone = stop.position >= end;
      at = { ...at, position: stop.position, nextOffset: stop.nextOffset };
      if (!(await pause(bytes))) return total;
    }
  }
  return total;
}

/** Verifies about SCRUB_STEP_BYTES from a batch on; undefined when the file is gone. */
async function step(
  segment: Segment,
  from: { readonly position: number; readonly nextOffset: bigint; readonly mayHaveGaps: boolean },
  end: number,
): Promise<ScanEnd | undefined> {
  try {
    return await segment.use(async (file) => {
      await segment.verifyHeader(file);
      // Whether there may be holes is known only now.
      const { mayHaveGaps } = segment;
      return scanBatches(
        { file, seed: segment.home.seed, ...from, mayHaveGaps, end, verifyFrom: 0 },
        (_bytes, _at, position) => position - from.position < SCRUB_STEP_BYTES,
      );
    });
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
