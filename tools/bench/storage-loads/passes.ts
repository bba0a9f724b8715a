/** Passes that each measure themselves, repeated: what lies between them (new files, old ones removed) does not count. */
import type { Sample } from '../sample.ts';

/** Repeats until the passes together took that long; at least one. */
export async function repeatPasses(seconds: number, pass: () => Promise<Sample>): Promise<Sample> {
  let total: Sample = { recordCount: 0, bytes: 0, durationMs: 0 };
  do {
    const { recordCount, bytes, durationMs } = await pass();
    total = {
      recordCount: total.recordCount + recordCount,
      bytes: total.bytes + bytes,
      durationMs: total.durationMs + durationMs,
    };
  } while (total.durationMs < seconds * 1000);
  return total;
}
