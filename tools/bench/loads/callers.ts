/** Concurrent callers in a closed loop: each makes its next call when the last is answered. */
import { Latencies } from '../latencies.ts';
import type { Sample } from '../sample.ts';
import { CALLER_COUNT, RECORD_BYTES } from '../workload.ts';

export async function runCallers(seconds: number, call: (caller: number) => Promise<unknown>): Promise<Sample> {
  const latencies = new Latencies();
  const startMs = performance.now();
  let callCount = 0;
  const caller = async (index: number): Promise<void> => {
    while (performance.now() - startMs < seconds * 1000) {
      const callMs = performance.now();
      await call(index);
      latencies.record(callMs);
      callCount += 1;
    }
  };
  await Promise.all(Array.from({ length: CALLER_COUNT }, (_, index) => caller(index)));
  return {
    recordCount: callCount,
    bytes: callCount * RECORD_BYTES,
    durationMs: performance.now() - startMs,
    latencies: latencies.encode(),
  };
}
