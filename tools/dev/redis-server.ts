/**
 * A Redis process of our own: on a loopback port, append-only, without snapshots, never evicting. Used by the
 * launcher, and by tests that stop and restart Redis on one port.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOOPBACK, onLoopback } from './placement.ts';
import type { Placement } from './placement.ts';

/** How to run redis-server: the binary, and the environment it needs beside the usual one. */
export interface RedisCommand {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

/** How a server process ended, with the end of what it printed. */
export interface RedisExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lastLines: string;
}

export interface RedisProcess {
  readonly pid: number;
  readonly port: number;
  readonly url: string;
  /** Settles when the process is gone, wanted or not. Never rejects. */
  readonly exited: Promise<RedisExit>;
  /** SIGTERM, which flushes the append-only file, then waits; SIGKILL after 10 s. May be called again. */
  readonly stop: () => Promise<void>;
}

const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 10_000;
const REPLY_MS_MAX = 1_000;
const POLL_MS = 20;
const OUTPUT_CHARS_MAX = 4_000;

/** A loopback port that nobody listens on now. */
export async function freeLoopbackPort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, LOOPBACK);
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('the operating system gave no port');
  return address.port;
}

/** Starts Redis on `port` with its data in `dataDir` and returns once it answers PING; throws when it does not. */
export async function startRedisServer(options: {
  readonly command: RedisCommand;
  readonly port: number;
  readonly dataDir: string;
  /** Default: on loopback. */
  readonly placement?: Placement;
}): Promise<RedisProcess> {
  const { command, port, dataDir, placement = onLoopback('redis') } = options;
  const { host, wrap, env } = placement;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Beyond loopback it is in a network of its own, whose members may all ask it.
  const listen = ['--port', String(port), '--bind', host, ...(host === LOOPBACK ? [] : ['--protected-mode', 'no'])];
  const keep = ['--dir', dataDir, '--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction'];
  const [file, ...rest] = [...wrap, command.path, ...listen, ...keep, '--daemonize', 'no'];
  // A process group of its own: Ctrl-C in the terminal must reach the launcher only, which stops Redis last.
  const child = spawn(file, rest, {
    env: { ...process.env, ...command.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const exited = watchExit(child);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await exited;
    clearTimeout(timer);
  };
  const ended = exited.then(({ lastLines }) => {
    throw new Error(`${command.path} stopped at once:\n${lastLines}`);
  });
  ended.catch(() => undefined);
  try {
    await Promise.race([untilReady(port, host), ended]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid ?? 0, port, url: `redis://${host}:${port}`, exited, stop };
}

function watchExit(child: ChildProcess): Promise<RedisExit> {
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, lastLines: error.message }));
    child.once('close', (code, signal) => resolve({ code, signal, lastLines: output.trim() }));
  });
}

async function untilReady(port: number, host: string): Promise<void> {
  const end = performance.now() + READY_MS_MAX;
  while (performance.now() < end) {
    if ((await askRedis(port, 'PING', host))?.startsWith('+PONG') === true) return;
    await sleep(POLL_MS);
  }
  throw new Error(`Redis on port ${port} was not ready within ${READY_MS_MAX} ms`);
}

/**
 * Sends one inline command and returns the first bytes of the answer as text; undefined when nobody answers. Enough
 * for PING, CONFIG GET dir and SHUTDOWN, whose answers fit one packet.
 */
export function askRedis(port: number, line: string, host = LOOPBACK): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const finish = (answer: string | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(REPLY_MS_MAX, () => finish(undefined));
    socket.once('connect', () => socket.write(`${line}\r\n`));
    socket.once('data', (chunk) => finish(chunk.toString('utf8')));
    socket.once('error', () => finish(undefined));
    socket.once('close', () => finish(undefined));
  });
}
