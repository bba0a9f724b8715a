/** CPU time of other processes: on shared cores it tells more than the time on the clock. */
import { readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second, on every machine. */
const TICK_MS = 10;
/** Of /proc/<pid>/stat, counted behind the name in brackets. */
const USER_FIELD = 11;
const SYSTEM_FIELD = 12;

/** Milliseconds that the processes have had, with the kernel's work for them. Throws when one is gone. */
export function cpuTimeMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuTimeOf(readFileSync(`/proc/${pid}/stat`, 'utf8')), 0);
}

/** From the content of /proc/<pid>/stat. */
export function cpuTimeOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[USER_FIELD]) + Number(fields[SYSTEM_FIELD])) * TICK_MS;
}
