/**
 * Loaded into every process of a cluster by `node --import`, with the folder behind `?`: notes each stall of the event
 * loop in `<folder>/<process id>.stalls` as a line of when it began, how long it was, and how long the loop's thread had
 * a processor meanwhile, milliseconds since the process began each. See stalls.ts.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const TICK_MS = 10;
/** Shorter ones are not noted. */
const STALL_MS_MIN = 30;

const folder = decodeURIComponent(new URL(import.meta.url).search.slice(1));
mkdirSync(folder, { recursive: true });
let lastMs = performance.now();
let last = process.threadCpuUsage();
setInterval(() => {
  const nowMs = performance.now();
  const now = process.threadCpuUsage();
  const stalledMs = nowMs - lastMs - TICK_MS;
  if (stalledMs >= STALL_MS_MIN) {
    const busyMs = (now.user - last.user + now.system - last.system) / 1000;
    const line = [lastMs, stalledMs, busyMs].map(Math.round).join(' ');
    appendFileSync(join(folder, `${process.pid}.stalls`), `${line}\n`);
  }
  lastMs = nowMs;
  last = now;
}, TICK_MS).unref();
