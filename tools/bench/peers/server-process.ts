/** Servers of a peer: processes whose output goes to files, and which are ended by their ids. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

const STOP_MS_MAX = 15_000;
const TOLD_CHARS_MAX = 2000;

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #ended: Promise<void>;

  private constructor(child: ChildProcess, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => resolve());
      // It never began: there is nothing to wait for.
      child.once('error', () => resolve());
    });
  }

  static start(command: string, args: readonly string[], logFile: string): ServerProcess {
    const log = openSync(logFile, 'a');
    // Detached: Ctrl-C reaches the bench alone, which stops what it started in its order.
    const child = spawn(command, args, { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    return new ServerProcess(child, logFile);
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(this.lastWords());
    return pid;
  }

  get hasEnded(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The end of its output, for the message of an error. */
  lastWords(): string {
    return `${this.#child.spawnfile}:\n${readFileSync(this.#logFile, 'utf8').slice(-TOLD_CHARS_MAX)}`;
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill('SIGTERM');
    const forced = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS_MAX);
    await this.#ended;
    clearTimeout(forced);
  }
}

/** The servers of one cluster. */
export class PeerCluster {
  /** As its clients take them. */
  readonly addresses: readonly string[];
  readonly #servers: readonly ServerProcess[];

  constructor(addresses: readonly string[], servers: readonly ServerProcess[]) {
    this.addresses = addresses;
    this.#servers = servers;
  }

  get pids(): readonly number[] {
    return this.#servers.map(({ pid }) => pid);
  }

  /** What a server that has ended said last; undefined while all run. */
  fault(): string | undefined {
    return this.#servers.find(({ hasEnded }) => hasEnded)?.lastWords();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}
