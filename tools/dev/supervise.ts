/**
 * One service process: forked with a message channel, its output kept, started again when it dies. The process runs in a
 * group of its own, so that Ctrl-C reaches only the launcher, which stops everything in order.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { RotatingLog } from './rotating-log.ts';

const LAST_LINE_COUNT = 15;
/** Before a process is started again that died, unless the longest wait is shorter. */
export const RESTART_DELAY_MS_MIN = 1000;
/** Up for this long, a process has earned the shortest delay again. */
export const STEADY_MS = 60_000;

export interface ServiceSpec {
  /** `broker-1`: names the log file. */
  readonly name: string;
  readonly entry: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** A command that runs Node as its last arguments, in its own process; empty = Node itself. */
  readonly wrap: readonly string[];
  /** For Node itself. */
  readonly nodeArgs: readonly string[];
}

export interface SuperviseOptions {
  readonly logFolder: string;
  readonly restart: boolean;
  /** The wait doubles with each death, up to this. */
  readonly restartWaitMsMax: number;
  /** Told when the process is up, also after a restart. */
  onReady(): void;
  /** Told when it died: what to print, and its last lines. */
  onDeath(text: string, lastLines: readonly string[]): void;
}

export class SupervisedProcess {
  readonly spec: ServiceSpec;
  readonly #options: SuperviseOptions;
  readonly #log: RotatingLog;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #lastLines: string[] = [];
  #restartTimer: NodeJS.Timeout | undefined;
  #delayMs: number;
  #startedMs = 0;
  #stopping = false;
  #holdCount = 0;
  /** True between its ready message and its end. */
  ready = false;

  constructor(spec: ServiceSpec, options: SuperviseOptions) {
    this.spec = spec;
    this.#options = options;
    this.#log = new RotatingLog(options.logFolder, spec.name);
    this.#delayMs = this.#delayMsMin;
  }

  get #delayMsMin(): number {
    return Math.min(RESTART_DELAY_MS_MIN, this.#options.restartWaitMsMax);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  start(): void {
    this.#startedMs = performance.now();
    this.#lastLines = [];
    const { entry, args, env, wrap, nodeArgs } = this.spec;
    const [execPath = '', ...execArgv] = [...wrap, process.execPath, ...process.execArgv, ...nodeArgs];
    const child = fork(entry, [...args], { env, execPath, execArgv, silent: true, detached: true });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (chunk: string) => this.#keep(chunk));
    }
    child.on('message', (message) => {
      if (!isReadyMessage(message)) return;
      this.ready = true;
      this.#options.onReady();
    });
    this.#exited = new Promise((resolve) => {
      const ended = (text: string): void => {
        if (this.#child !== child) return;
        this.#child = undefined;
        this.ready = false;
        resolve();
        this.#onEnd(text);
      };
      // Not at `exit`: its last lines, which say why it ended, may still be in the pipe then.
      child.once('close', (code, signal) =>
        ended(signal === null ? `exited with code ${code}` : `was ended by ${signal}`),
      );
      child.once('error', (error) => ended(`could not be started: ${error.message}`));
    });
  }

  /** SIGTERM, then SIGKILL when it takes longer than `graceMs`. Resolves when the process is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    const child = this.#child;
    if (child !== undefined) {
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await this.#exited;
      clearTimeout(killer);
    }
    await this.#log.close();
  }

  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    this.#child?.kill('SIGKILL');
  }

  /** From now on it is not started again when it dies, until as many calls of `release`. */
  hold(): void {
    this.#holdCount += 1;
    clearTimeout(this.#restartTimer);
  }

  /** Started at once when nobody holds it any more. */
  release(): void {
    this.#holdCount -= 1;
    if (this.#holdCount === 0 && this.#child === undefined && !this.#stopping) this.start();
  }

  #onEnd(text: string): void {
    if (this.#stopping) return;
    if (this.#holdCount > 0) return this.#options.onDeath(`${this.spec.name} ${text}; held`, this.#lastLines);
    if (performance.now() - this.#startedMs > STEADY_MS) this.#delayMs = this.#delayMsMin;
    const next = this.#options.restart ? `; starting it again in ${this.#delayMs / 1000} s` : '';
    this.#options.onDeath(`${this.spec.name} ${text}${next}`, this.#lastLines);
    if (!this.#options.restart) return;
    this.#restartTimer = setTimeout(() => this.start(), this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, this.#options.restartWaitMsMax);
  }

  #keep(chunk: string): void {
    this.#log.write(chunk);
    this.#lastLines.push(...chunk.split('\n').filter((line) => line !== ''));
    if (this.#lastLines.length > LAST_LINE_COUNT) this.#lastLines.splice(0, this.#lastLines.length - LAST_LINE_COUNT);
  }
}

function isReadyMessage(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';
}
