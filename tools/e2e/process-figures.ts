/** What Linux knows of a process: memory, open files, age, work. Throws ENOENT when it is gone. */
import { readFileSync, readdirSync } from 'node:fs';

/** Of the field `starttime`: fixed in Linux's interface to user space. */
const TICKS_PER_SECOND = 100;

export interface Memory {
  /** Resident now, bytes. */
  readonly residentBytes: number;
  /** The most that was ever resident, bytes. */
  readonly residentBytesMax: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { residentBytes: bytes('VmRSS'), residentBytesMax: bytes('VmHWM') };
}

/** Descriptors that are open: files, sockets and all else. */
export function openFileCountOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Seconds since the process was started, exact to 0.01. */
export function ageSecondsOf(pid: number): number {
  const [uptimeSeconds = ''] = readFileSync('/proc/uptime', 'utf8').split(' ');
  return Number(uptimeSeconds) - secondsOf(pid, 19);
}

/** Seconds that all threads of the process have had a processor, in the kernel too. */
export function workSecondsOf(pid: number): number {
  return secondsOf(pid, 11) + secondsOf(pid, 12);
}

/** A field of /proc/PID/stat in ticks; the first one behind the command's name is 0. */
function secondsOf(pid: number, field: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[field]) / TICKS_PER_SECOND;
}
