/**
 * Quiet between runs: what one run left in the page cache to be written, and files that are being removed, must not be paid
 * for by the next run, which is another system's.
 */
import { readFileSync } from 'node:fs';
import { pause } from '@partita/client';

const UNWRITTEN_BYTES_MAX = 64 * 1024 * 1024;
const WAIT_MS_MAX = 20_000;
const POLL_MS = 100;
/** For systems to notice that a topic is gone, and for the memory of the run to be collected. */
const REST_MS = 1500;

/** Returns when little is left to be written, or after a time. */
export async function settle(readInfo = (): string => readFileSync('/proc/meminfo', 'utf8')): Promise<void> {
  await pause(REST_MS);
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  while (performance.now() < deadlineMs) {
    if (unwrittenBytes(readInfo()) <= UNWRITTEN_BYTES_MAX) return;
    await pause(POLL_MS);
  }
}

/** Bytes that wait to be written or are being written, from the content of /proc/meminfo. */
export function unwrittenBytes(info: string): number {
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(info)?.[1] ?? 0);
  return (kibibytes('Dirty') + kibibytes('Writeback')) * 1024;
}
