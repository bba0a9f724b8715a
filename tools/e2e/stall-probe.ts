/**
 * Loaded into every process of a cluster by `node --import`, with the folder behind `?`: notes each stall of the event
 * loop as a line `<seconds since the process began> <milliseconds>` in `<folder>/<process id>.stalls`. See stalls.ts.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const TICK_MS = 10;
/** What a busy machine does by itself is not noted. */
const STALL_MS_MIN = 50;

const folder = decodeURIComponent(new URL(import.meta.url).search.slice(1));
mkdirSync(folder, { recursive: true });
let lastMs = performance.now();
setInterval(() => {
  const nowMs = performance.now();
  const stalledMs = nowMs - lastMs - TICK_MS;
  if (stalledMs >= STALL_MS_MIN) {
    const line = `${(lastMs / 1000).toFixed(2)} ${Math.round(stalledMs)}\n`;
    appendFileSync(join(folder, `${process.pid}.stalls`), line);
  }
  lastMs = nowMs;
}, TICK_MS).unref();
