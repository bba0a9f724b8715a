/**
 * A cluster as a user starts it: the launcher as a process of its own, on a home directory of its own below the system's
 * temporary folder. A failed start carries the launcher's last lines and those of every service's log;
 * PARTITA_TEST_KEEP=on keeps the homes, with all logs, of the tests that ran.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { withCompileCache } from '@partita/tool-dev/compile-cache.ts';
import type { ReadyFile } from '@partita/tool-dev/ready-file.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import { vi } from 'vitest';
import { isAlive, killNow, processesOf, untilNoneLeft } from './processes.ts';
import { installRedis, redisBinary } from './redis-binary.ts';
import { ROOT } from './root.ts';
import { until, within } from './until.ts';

// Each suite of real processes waits with bounds of its own; those of vitest only catch what hangs outside of them.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 });

const START_SECONDS_MAX = 60;
const STOP_SECONDS_MAX = 40;
const LAST_LINE_COUNT = 20;
/** Suites kill often: each would wait a second at first, and half a minute in the end. */
const RESTART_WAIT_MAX = '300ms';
/** Every process that the tests started and that has not ended: killed when the test process ends early. */
const running = new Set<ChildProcess>();
process.once('exit', () => killNow([...running].flatMap(({ pid }) => pid ?? [])));

export interface ClusterOptions {
  /** Default 3. */
  readonly brokers?: number;
  /** Value of PARTITA_REDIS. Default: `system` with the suites' own binary, `embedded` when there is none. */
  readonly redis?: 'system' | 'unpacked' | 'embedded' | 'url';
  /** An existing home, to start on its data. Default: a new one. */
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** True = with the console that keeps traces; most suites have no use for it, and start sooner without. */
  readonly traces?: boolean;
  /** True = with endpoints for Prometheus. */
  readonly metrics?: boolean;
  /** Longest wait of the launcher before it starts again what died. Default RESTART_WAIT_MAX. */
  readonly restartWaitMax?: string;
  /** Further arguments of the launcher. */
  readonly args?: readonly string[];
  /** A command that runs the launcher as its last arguments, in its own process: `unshare`, say. */
  readonly wrap?: readonly string[];
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The launcher's process and what it printed. */
export class Launcher {
  readonly home: string;
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #output = '';

  constructor(home: string, args: readonly string[], env: NodeJS.ProcessEnv, wrap: readonly string[] = []) {
    this.home = home;
    const [command = '', ...rest] = [...wrap, process.execPath, 'tools/dev/main.ts', '--home', home, ...args];
    this.child = spawn(command, rest, {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => (this.#output += chunk));
    }
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        running.delete(this.child);
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Everything that it printed, both streams. */
  get output(): string {
    return this.#output;
  }
}

/** The environment of a user's shell: nothing of the test run's own settings. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(PARTITA_|OTEL_|VITEST|REDIS_URL$|NODE_OPTIONS$|NODE_ENV$|NODE_CHANNEL)/;
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  const env = Object.fromEntries(kept);
  return withCompileCache({ ...env, PATH: [join(ROOT, 'node_modules/.bin'), env['PATH'] ?? ''].join(delimiter) });
}

export function newHome(): string {
  return mkdtempSync(join(tmpdir(), 'partita-e2e-'));
}

/** Starts the launcher and does not wait. */
export async function launch(options: ClusterOptions = {}): Promise<Launcher> {
  const home = options.home ?? newHome();
  const env = cleanEnvironment();
  const binary = await redisBinary();
  const redis = options.redis ?? (typeof binary === 'string' ? 'embedded' : 'system');
  if (redis === 'system' && typeof binary !== 'string') {
    installRedis(binary, join(home, 'test-bin'));
    env['PATH'] = [join(home, 'test-bin'), env['PATH'] ?? ''].join(delimiter);
  }
  const waits = ['--restart-wait-max', options.restartWaitMax ?? RESTART_WAIT_MAX];
  const traces = options.traces === true ? [] : ['--no-traces'];
  const metrics = options.metrics === true ? [] : ['--no-metrics'];
  const args = ['--brokers', String(options.brokers ?? 3), ...waits, ...traces, ...metrics, ...(options.args ?? [])];
  return new Launcher(home, args, { ...env, PARTITA_REDIS: redis, ...options.env }, options.wrap);
}

/** Starts a cluster and waits until its ready file is there. Throws with the last lines of everything when it is not. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const startedMs = performance.now();
  const launcher = await launch(options);
  let ended: Ended | undefined;
  void launcher.ended.then((how) => (ended = how));
  try {
    // The file of a launcher that was killed may still be there: this one speaks when it has written its own.
    await until(
      'the cluster to be ready',
      START_SECONDS_MAX,
      () => ended !== undefined || launcher.output.includes('Ready after'),
    );
    if (ended !== undefined) throw new Error(`the launcher ended with ${ended.code ?? ended.signal}`);
  } catch (error) {
    const report = lastLines(launcher);
    killNow([launcher.pid, ...processesOf(launcher.home).map(({ pid }) => pid)]);
    if (options.home === undefined) rmSync(launcher.home, { recursive: true, force: true });
    throw new Error(`the cluster did not start: ${error instanceof Error ? error.message : ''}\n${report}`, {
      cause: error,
    });
  }
  return new Cluster(launcher, (performance.now() - startedMs) / 1000);
}

/** A cluster that was ready. */
export class Cluster {
  readonly launcher: Launcher;
  readonly readySeconds: number;

  constructor(launcher: Launcher, readySeconds: number) {
    this.launcher = launcher;
    this.readySeconds = readySeconds;
  }

  get home(): string {
    return this.launcher.home;
  }

  /** cluster.json as it is now. */
  get file(): ReadyFile {
    return readReadyFile(this.home);
  }

  /** Addresses of all public listeners, by service. */
  get addresses(): { gateway: string; consumerGroup: string; coordinator: string; broker: string } {
    const { gateway, consumerGroup, coordinators, brokers } = this.file;
    return { gateway, consumerGroup, coordinator: coordinators[0] ?? '', broker: brokers[0]?.address ?? '' };
  }

  /** Process ids of the services, without Redis and the launcher. */
  get servicePids(): number[] {
    const { coordinator, broker, gateway, consumerGroup } = this.file.pids;
    return [...coordinator, ...broker, ...gateway, ...consumerGroup];
  }

  /** SIGTERM to the launcher; resolves with its exit when no process is left. The home stays. */
  async stop(): Promise<Ended> {
    process.kill(this.launcher.pid, 'SIGTERM');
    const how = await within(
      `the stop of ${this.home}\n${lastLines(this.launcher)}`,
      STOP_SECONDS_MAX,
      this.launcher.ended,
    );
    await untilNoneLeft(this.home, 5);
    return how;
  }

  /** kill -9 of the launcher, Redis and every service at once. The home stays. */
  async killEverything(): Promise<void> {
    const pids = processesOf(this.home).map(({ pid }) => pid);
    killNow(pids);
    await until('every killed process to be gone', 10, () => !pids.some(isAlive));
    await this.launcher.ended;
  }

  /**
   * For afterAll: whatever state the cluster is in, nothing of it is left. Fails when a clean stop left a process, or when
   * a service logged an error: what a test provokes is refused or warned of, an error is a bug. Only a fault of the disk
   * is an error that a test may provoke: `provoked` are the lines that it causes.
   */
  async dispose(provoked: readonly RegExp[] = []): Promise<void> {
    try {
      if (this.launcher.child.exitCode === null && this.launcher.child.signalCode === null) await this.stop();
      else await untilNoneLeft(this.home, 5);
      const errors = loggedErrors(this.home, provoked);
      if (errors.length > 0)
        throw new Error(`services logged ${errors.length} errors:\n${errors.slice(0, 5).join('\n')}`);
    } finally {
      killNow(processesOf(this.home).map(({ pid }) => pid));
      if (process.env['PARTITA_TEST_KEEP'] === 'on') console.log(`kept ${this.home}`);
      else rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}

/** Lines of level error or fatal in any service's log, but for those that match one of `provoked`. */
export function loggedErrors(home: string, provoked: readonly RegExp[] = []): string[] {
  const files = globSync(join(home, 'logs', '*.log'));
  const lines = files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => `${basename(file)}: ${line}`),
  );
  return lines
    .filter((line) => /"level":"(error|fatal)"/.test(line) && !provoked.some((pattern) => pattern.test(line)))
    .map((line) => line.slice(0, 1500));
}

/** The last lines of the launcher and of every log, for messages. */
export function lastLines(launcher: Launcher): string {
  const parts = [`launcher:\n${tail(launcher.output)}`];
  const folder = join(launcher.home, 'logs');
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.log')) : [];
  for (const name of names) parts.push(`${name}:\n${tail(readFileSync(join(folder, name), 'utf8'))}`);
  return parts.join('\n');
}

function tail(text: string): string {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines
    .slice(-LAST_LINE_COUNT)
    .map((line) => `    ${line.slice(0, 500)}`)
    .join('\n');
}
