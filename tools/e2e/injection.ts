/**
 * Faults of single system calls on one file, in a running process: strace makes them fail without their taking place,
 * and notes each of them. Ptrace works for root, and for a parent on its children where the kernel allows no more.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { commandPath } from '@partita/tool-dev/debian-package.ts';
import { Hopeless, until, within } from './until.ts';

export interface InjectionOptions {
  readonly pid: number;
  /** Only calls on this file fail and are noted. */
  readonly path: string;
  /** Names of system calls. */
  readonly calls: readonly string[];
  readonly error: 'EIO' | 'ENOSPC';
  /** Where strace notes the calls. */
  readonly notes: string;
}

export class Injection {
  readonly #strace: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #notes: string;

  private constructor(strace: ChildProcess, notes: string) {
    this.#strace = strace;
    this.#ended = once(strace, 'close');
    this.#notes = notes;
  }

  /** From its return on, every such call of the process fails, on each of its threads. */
  static async attach({ pid, path, calls, error, notes }: InjectionOptions): Promise<Injection> {
    rmSync(notes, { force: true });
    const names = calls.join(',');
    const what = ['-e', `trace=${names}`, '-e', `inject=${names}:error=${error}`, '-P', path];
    const args = ['-f', '-y', '-o', notes, ...what, '-p', String(pid)];
    const strace = spawn(commandPath('strace') ?? 'strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    strace.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    const injection = new Injection(strace, notes);
    await until('strace to be attached', 15, () => {
      // A process that dies of the first fault takes strace with it: that it was attached counts.
      if (/ attached/.test(said)) return true;
      if (strace.exitCode !== null) throw new Hopeless(`strace ended: ${said}`);
      return false;
    });
    return injection;
  }

  /** The calls that failed so far, one line each. */
  get failedCalls(): string[] {
    const text = existsSync(this.#notes) ? readFileSync(this.#notes, 'utf8') : '';
    return text.split('\n').filter((line) => line.includes('(INJECTED)'));
  }

  /** Lets go of the process; resolves when strace has ended, which it also does with the process. */
  async detach(): Promise<void> {
    if (this.#strace.exitCode === null) this.#strace.kill('SIGINT');
    await within('the end of strace', 15, this.#ended);
  }
}
