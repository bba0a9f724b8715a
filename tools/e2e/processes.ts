/** Processes of one home directory, found by /proc: what a cluster left behind is seen whoever its parent was. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { sep } from 'node:path';
import { until } from './until.ts';

export interface FoundProcess {
  readonly pid: number;
  /** Its command line, for messages. */
  readonly command: string;
}

function read(pid: number, file: 'cmdline' | 'environ' | 'stat'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // gone, or of another user
  }
}

/** True when it works in `home` or below: Redis overwrites arguments and environment, and is found by this alone. */
function worksIn(pid: number, home: string): boolean {
  try {
    return `${readlinkSync(`/proc/${pid}/cwd`)}${sep}`.startsWith(`${home}${sep}`);
  } catch {
    return false; // gone, or of another user
  }
}

/** Every live process that names `home` in its arguments or environment, or works in it; zombies do not count. */
export function processesOf(home: string): FoundProcess[] {
  const found: FoundProcess[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = read(pid, 'cmdline').replaceAll('\0', ' ').trim();
    if (command === '') continue;
    if (command.includes(home) || read(pid, 'environ').includes(home) || worksIn(pid, home))
      found.push({ pid, command });
  }
  return found;
}

/** False once it is dead with all its threads, reaped or not. */
export function isAlive(pid: number): boolean {
  const stat = read(pid, 'stat');
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const threadCount = Number(fields[16]);
  return stat !== '' && (state !== 'Z' || threadCount > 1);
}

/** When the process began, in ticks since the machine's start: tells it from another with the same id. '' = none. */
export function startTimeOf(pid: number): string {
  const stat = read(pid, 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** Waits until no process of `home` is left; throws with their command lines. */
export async function untilNoneLeft(home: string, secondsMax: number): Promise<void> {
  await until(`no process of ${home}`, secondsMax, () => {
    const left = processesOf(home);
    if (left.length > 0) throw new Error(left.map(({ pid, command }) => `${pid} ${command}`).join('\n'));
    return true;
  });
}

/** kill -9; a process that is gone already is no error. */
export function killNow(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}
