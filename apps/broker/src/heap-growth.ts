/** How far the broker's heap may grow between two collections. */
import { setFlagsFromString } from 'node:v8';

/**
 * Of what the last full collection left over. V8 counts the bytes of buffers as growth, but sets the limit by the objects:
 * a broker has few objects, and batches pass through it, so with V8's own factor (below 2) it marks its whole heap after
 * every 20 MB of batches, several times a second. That took more than half of its CPU time, most of it in V8's helper
 * threads.
 */
const HEAP_GROWING_PERCENT = 400;

/** For the process; call it once, before it serves. */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
}
