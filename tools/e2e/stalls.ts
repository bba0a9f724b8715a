/** Stalls of the event loops of a cluster's processes, measured from within by stall-probe.ts. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The environment that makes every process of a cluster note its stalls in the folder. */
export function stallProbe(folder: string): { readonly NODE_OPTIONS: string } {
  return { NODE_OPTIONS: `--import ${import.meta.resolve('./stall-probe.ts')}?${encodeURIComponent(folder)}` };
}

/** The longest stall that began `fromSeconds` after the process or later, milliseconds; 0 when none was worth noting. */
export function longestStallMs(folder: string, pid: number, fromSeconds: number): number {
  const path = join(folder, `${pid}.stalls`);
  if (!existsSync(path)) return 0;
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const stalls = lines.map((line) => line.split(' ').map(Number));
  return Math.max(0, ...stalls.map(([seconds = 0, ms = 0]) => (seconds < fromSeconds ? 0 : ms)));
}
