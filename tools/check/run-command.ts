/**
 * Runs one command of a check, bounded in time. It gets its own process group, so that whatever it started goes with
 * it when it is stopped: SIGTERM first, SIGKILL after a grace period.
 */
import { spawn } from 'node:child_process';
import { dirname, join, resolve, delimiter } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** Time between SIGTERM and SIGKILL for a command that overran: enough for an e2e suite to stop its cluster. */
const STOP_GRACE_MS = 15_000;

/** Most of a quiet command's output that is kept; its end says why it failed. */
const OUTPUT_CHARS_MAX = 60_000;

export interface CommandOptions {
  readonly secondsMax: number;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Print as it comes (suites), or keep it and show it only on failure (checks). */
  readonly output: 'live' | 'on failure';
}

export interface CommandResult {
  readonly ok: boolean;
  readonly durationMs: number;
  /** Why it failed, in a few words; empty when ok. */
  readonly failure: string;
  /** Output of a quiet command, its end when it was long. */
  readonly output: string;
}

function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const path = [join(ROOT, 'node_modules/.bin'), dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  // Nx draws a full-screen interface on a terminal unless told not to.
  return { ...process.env, NX_TUI: 'false', ...extra, PATH: path };
}

/** Signals a process group that we started; false when it is gone. */
function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

function failureOf(code: number | null, signal: NodeJS.Signals | null, overran: boolean, secondsMax: number): string {
  if (overran) return `stopped after ${secondsMax} s, its limit`;
  if (signal !== null) return `ended by ${signal}`;
  return code === 0 ? '' : `exit code ${code ?? 'unknown'}`;
}

export function runCommand(command: readonly [string, ...string[]], options: CommandOptions): Promise<CommandResult> {
  const [file, ...args] = command;
  const started = performance.now();
  const live = options.output === 'live';
  const child = spawn(file, args, {
    cwd: ROOT,
    env: environment(options.env),
    detached: true,
    stdio: ['ignore', live ? 'inherit' : 'pipe', live ? 'inherit' : 'pipe'],
  });
  let output = '';
  let overran = false;
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);

  const stop = (): void => {
    const { pid } = child;
    if (pid === undefined || !signalGroup(pid, 'SIGTERM')) return;
    setTimeout(() => signalGroup(pid, 'SIGKILL'), STOP_GRACE_MS).unref();
  };
  const limit = setTimeout(() => {
    overran = true;
    stop();
  }, options.secondsMax * 1000);
  // The group does not get the terminal's Ctrl-C: pass it on, then leave as an interrupted program does.
  const interrupt = (): void => {
    stop();
    child.once('close', () => process.exit(130));
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);

  return new Promise((settle) => {
    const finish = (failure: string): void => {
      clearTimeout(limit);
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
      settle({ ok: failure === '', durationMs: performance.now() - started, failure, output });
    };
    child.once('error', (error) => finish(`could not be started: ${error.message}`));
    child.once('close', (code, signal) => finish(failureOf(code, signal, overran, options.secondsMax)));
  });
}
