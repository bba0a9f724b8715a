/** A cluster for a tool alone: `npm start` in a temporary home. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

const LAUNCHER = fileURLToPath(new URL('./main.ts', import.meta.url));
/** The launcher itself gives up after 60 s; fetching a Redis comes before that. */
const START_MS_MAX = 180_000;
const STOP_MS_MAX = 60_000;
const POLL_MS = 100;
const OUTPUT_CHARS_MAX = 8000;

/** Addresses in `<home>/cluster.json`, the gateway's first; none when there is no such file. */
export function serversOf(home: string): string[] {
  const path = join(home, 'cluster.json');
  if (!existsSync(path)) return [];
  const ready: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (!isReadyFile(ready)) throw new Error(`${path} is no ready-file of a cluster; remove it`);
  return [ready.gateway, ready.consumerGroup, ...ready.coordinators];
}

export interface OwnClusterOptions {
  /** Part of the name of its directory. */
  readonly purpose: string;
  readonly brokerCount: number;
  /** True = with a console that keeps traces. Default false. */
  readonly traces?: boolean;
  /** True = with endpoints for Prometheus. Default false. */
  readonly metrics?: boolean;
  /** Addresses that clients are told in place of those listened on, by the name of the process: `broker-1`. */
  readonly advertise?: Readonly<Record<string, string>>;
  /** Further variables of the environment of the launcher and its services. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `npm start` in a temporary home. The caller stops it, also when it does not become ready. */
export function launchCluster(options: OwnClusterOptions): OwnCluster {
  const { purpose, brokerCount, traces = false, metrics = false, env = {}, advertise = {} } = options;
  const home = mkdtempSync(join(tmpdir(), `partita-${purpose}-`));
  const size = ['--home', home, '--brokers', String(brokerCount), '--log-level', 'warn'];
  const seen = [traces ? '--traces' : '--no-traces', metrics ? '--metrics' : '--no-metrics'];
  const told = Object.entries(advertise).map((entry) => entry.join('='));
  const args = [LAUNCHER, ...size, ...seen, ...(told.length === 0 ? [] : ['--advertise', told.join(',')])];
  // Detached: Ctrl-C reaches the tool alone, which cleans up in the cluster before it stops it.
  const launcher = spawn(process.execPath, args, {
    ...{ stdio: ['ignore', 'ignore', 'pipe'], detached: true },
    env: { ...process.env, ...env },
  });
  return new OwnCluster(home, launcher);
}

/** A cluster that runs until `stop`. */
export class OwnCluster {
  servers: readonly string[] = [];
  /** Has data and logs. */
  readonly home: string;
  readonly #launcher: ChildProcess;
  readonly #exited: Promise<void>;
  #output = '';

  constructor(home: string, launcher: ChildProcess) {
    this.home = home;
    this.#launcher = launcher;
    this.#exited = new Promise((resolve) => launcher.once('exit', () => resolve()));
    launcher.stderr?.on('data', (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
    });
  }

  /** Throws an Error with the launcher's last output when it does not come up. */
  async untilReady(): Promise<void> {
    const deadlineMs = performance.now() + START_MS_MAX;
    while (this.servers.length === 0) {
      if (this.#gone()) throw new Error(`the cluster did not start:\n${this.#output}`);
      if (performance.now() > deadlineMs) throw new Error(`the cluster was not ready in time:\n${this.#output}`);
      await sleep(POLL_MS);
      this.servers = serversOf(this.home);
    }
  }

  async stop(): Promise<void> {
    if (!this.#gone()) {
      this.#launcher.kill('SIGTERM');
      const forced = setTimeout(() => this.#launcher.kill('SIGKILL'), STOP_MS_MAX);
      await this.#exited;
      clearTimeout(forced);
    }
  }

  removeHome(): void {
    rmSync(this.home, { recursive: true, force: true });
  }

  #gone(): boolean {
    return this.#launcher.exitCode !== null || this.#launcher.signalCode !== null;
  }
}

interface ReadyFile {
  readonly gateway: string;
  readonly consumerGroup: string;
  readonly coordinators: readonly string[];
}

function isReadyFile(value: unknown): value is ReadyFile {
  if (typeof value !== 'object' || value === null) return false;
  const { gateway, consumerGroup, coordinators } = value as Partial<Record<keyof ReadyFile, unknown>>;
  return typeof gateway === 'string' && typeof consumerGroup === 'string' && Array.isArray(coordinators);
}
