/** What a broker needs to know of its machine: who lives on it, and whether it was started anew. */
import type { Disk } from './disk.ts';
import { readFileIfExists } from './disk.ts';

export interface Host {
  /** Process id of this process. */
  readonly pid: number;
  /** Something that differs between two processes that had the same pid; undefined when no such process lives. */
  startTimeOf(pid: number): Promise<string | undefined>;
  /** Changes at each start of the machine; undefined where it cannot be known, which must count as changed. */
  bootId(): Promise<string | undefined>;
}

/** Fields of /proc/<pid>/stat behind the name: state, number of threads, start time in ticks since the machine's start. */
const STATE_FIELD = 0;
const THREAD_COUNT_FIELD = 17;
const START_TIME_FIELD = 19;

/** This machine. Start times and boot id come from /proc (Linux); elsewhere a living pid counts as the same process. */
export function createHost(disk: Disk): Host {
  return {
    pid: process.pid,
    startTimeOf: async (pid) => {
      const stat = await readFileIfExists(disk, `/proc/${pid}/stat`);
      // The name is in parentheses and may hold anything, so the fields are counted from the last one.
      const fields = stat
        ?.toString('latin1')
        .slice(stat.lastIndexOf(') ') + 2)
        .split(' ');
      // Dead and not yet reaped by its parent. While it has threads, one of them may still be writing.
      if (fields?.[STATE_FIELD] === 'Z' && Number(fields[THREAD_COUNT_FIELD]) <= 1) return undefined;
      return fields?.[START_TIME_FIELD] ?? (isAlive(pid) ? '' : undefined);
    },
    bootId: async () => {
      const bootId = await readFileIfExists(disk, '/proc/sys/kernel/random/boot_id');
      return bootId?.toString('latin1').trim();
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user answers EPERM; it lives.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
