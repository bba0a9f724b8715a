/** The wall clocks of the processes, each by a file that libfaketime reads every second; monotonic clocks go on as ever. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const READ_EVERY_SECONDS = 1;

/** Until a clock that was set is seen by its process. */
export const CLOCK_SEEN_MS = READ_EVERY_SECONDS * 1000 + 100;

/**
 * What makes libfaketime leave the monotonic clock and the times of files alone. The C library's own malloc comes before that
 * of Redis, jemalloc, which asks for the time when libfaketime begins, and never gets it.
 */
export function clockEnvironment(library: string): Record<string, string> {
  return { LD_PRELOAD: `${library}:libc.so.6`, FAKETIME_DONT_FAKE_MONOTONIC: '1', NO_FAKE_STAT: '1' };
}

export class Clocks {
  readonly #folder: string;

  constructor(home: string) {
    this.#folder = join(home, 'clocks');
  }

  /** Environment of a process; its clock is right to begin with. */
  environmentOf(name: string, library: string): Record<string, string> {
    mkdirSync(this.#folder, { recursive: true });
    this.set(name, 0);
    return {
      ...clockEnvironment(library),
      FAKETIME_TIMESTAMP_FILE: this.#path(name),
      FAKETIME_CACHE_DURATION: String(READ_EVERY_SECONDS),
    };
  }

  /** Seconds that the clock is ahead; negative = behind. Holds over restarts of the process. */
  set(name: string, aheadSeconds: number): void {
    const path = this.#path(name);
    // Renamed into place: a reader finds one or the other.
    writeFileSync(`${path}.new`, `${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}\n`);
    renameSync(`${path}.new`, path);
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}
