/** Scheduling of a single thread; only Linux has it. */
import { readlinkSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * Lets all other threads go before the one that calls it, so that work in the background takes only the processor time
 * that is left. No effect, and no error, where the system has no priorities of threads.
 */
export function lowerThreadPriority(): void {
  try {
    // "<pid>/task/<tid>": on Linux a thread has a priority of its own, by its id.
    const tid = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(tid, constants.priority.PRIORITY_LOW);
  } catch {
    // Elsewhere the thread runs like the others, and the bound on its bytes per second has to do.
  }
}
