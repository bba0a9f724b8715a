/** How far the memory of a process through which records pass may grow between two full collections. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/**
 * In percent of what the last full collection left over. V8 starts another when buffers have grown by 64 MiB, and counts their
 * bytes as growth of a heap whose limit it sets by the objects alone. Records are buffers that pass through, and objects are
 * few: so with its own settings it marks the whole heap several times a second. That took more than half of a broker's CPU
 * time, most of it in V8's helper threads, and held a gateway that took 10 MB/s up for 30 ms three times a second.
 */
const GROWING_PERCENT_MAX = 400;
/** A gateway of thousands of connections has much to begin with, and must not become five times as large. */
const GROWING_PERCENT_MIN = 30;
const GROWTH_BYTES_MAX = 160 * 1024 * 1024;
const LOOK_MS = 5000;

/** For the process; call it once, before it serves. */
export function letHeapGrow(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  let told = 0;
  const tell = (): void => {
    const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics();
    const percent = growingPercent(objects + buffers);
    if (percent !== told) setFlagsFromString(`--heap-growing-percent=${percent}`);
    told = percent;
  };
  tell();
  setInterval(tell, LOOK_MS).unref();
}

/** What lets memory in use grow by GROWTH_BYTES_MAX, between the two bounds. */
export function growingPercent(usedBytes: number): number {
  const percent = Math.floor((100 * GROWTH_BYTES_MAX) / usedBytes);
  return Math.min(GROWING_PERCENT_MAX, Math.max(GROWING_PERCENT_MIN, percent));
}
