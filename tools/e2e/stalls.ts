/** Stalls of the event loops of a cluster's processes, measured from within by stall-probe.ts. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The environment that makes every process of a cluster note its stalls in the folder. */
export function stallProbe(folder: string): { readonly NODE_OPTIONS: string } {
  return { NODE_OPTIONS: `--import ${import.meta.resolve('./stall-probe.ts')}?${encodeURIComponent(folder)}` };
}

export interface Stalls {
  /** The longest one, as a caller has to wait. */
  readonly longestMs: number;
  /** The longest that the process itself worked in one: a busy machine adds nothing to it. */
  readonly longestBusyMs: number;
}

/** Stalls that began `fromSeconds` after the process or later; 0 when none was worth noting. */
export function stallsOf(folder: string, pid: number, fromSeconds: number): Stalls {
  const path = join(folder, `${pid}.stalls`);
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
  const stalls = lines.map((line) => line.split(' ').map(Number)).filter(([atMs = 0]) => atMs >= fromSeconds * 1000);
  return {
    longestMs: Math.max(0, ...stalls.map(([, ms = 0]) => ms)),
    longestBusyMs: Math.max(0, ...stalls.map(([, , busyMs = 0]) => busyMs)),
  };
}
