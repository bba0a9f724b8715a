/**
 * Finds or provides the Redis of a cluster on this machine. Without a wish: REDIS_URL; a server on the PATH; the
 * distribution's package unpacked below the home; else the coordinator's embedded store, with a notice.
 *
 *   <home>/redis/data/   the append-only file     <home>/redis/port   the port of the last start
 *   <home>/redis/root/   the unpacked packages
 */
import { constants } from 'node:fs';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type RedisCommand,
  type RedisExit,
  type RedisProcess,
  askRedis,
  freeLoopbackPort,
  startRedisServer,
} from './redis-server.ts';
import { unpackedRedis } from './redis-unpack.ts';

export const REDIS_SOURCES = ['url', 'system', 'unpacked', 'embedded'] as const;
/** Where Redis comes from; what PARTITA_REDIS may say. */
export type RedisSource = (typeof REDIS_SOURCES)[number];

export interface RedisHandle {
  readonly kind: RedisSource;
  /** `redis://…`, or `embedded` when the coordinator keeps the metadata in its own memory. */
  readonly url: string;
  /** The four below are there when the process is ours. */
  readonly pid?: number;
  readonly command?: RedisCommand;
  readonly exited?: Promise<RedisExit>;
  /** Starts it on the same port and data after it ended. */
  readonly startAgain?: () => Promise<RedisHandle>;
  /** Stops the process if it is ours, and waits until it is gone. */
  readonly stop: () => Promise<void>;
}

/** `path` is the search path for the system's server, the environment's PATH unless a test says otherwise. */
export interface RedisWish {
  readonly home: string;
  readonly source?: RedisSource | undefined;
  readonly redisUrl?: string | undefined;
  readonly log: (line: string) => void;
  readonly path?: string | undefined;
}

const START_COUNT_MAX = 3;
const ORPHAN_POLL_COUNT_MAX = 100;
const ORPHAN_POLL_MS = 100;
const SERVER_NAMES = ['redis-server', 'valkey-server'] as const;

/** Provides Redis, ready to use. An explicit `source` that cannot be had throws an Error that says why. */
export async function provideRedis(wish: RedisWish): Promise<RedisHandle> {
  const { source, redisUrl } = wish;
  if (source === 'url' || (source === undefined && redisUrl !== undefined && redisUrl !== '')) return given(redisUrl);
  if (source === 'embedded') return embedded();
  if (source !== undefined) return started(wish, source, await redisServerCommand({ ...wish, source }));
  const system = await systemRedis(wish.path);
  if (system !== undefined) return started(wish, 'system', system);
  try {
    return await started(wish, 'unpacked', await unpackedRedis(redisFolder(wish.home), wish.log));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    wish.log(`No Redis (${why}). The coordinator keeps the metadata in memory; it is rebuilt from the brokers.`);
    wish.log(`To install Redis: ${installCommand(process.platform)}`);
    return embedded();
  }
}

/** The server binary of one source, not started: for tests that start, stop and restart Redis on a port they choose. */
export async function redisServerCommand(wish: {
  readonly home: string;
  readonly source: 'system' | 'unpacked';
  readonly log?: (line: string) => void;
  readonly path?: string | undefined;
}): Promise<RedisCommand> {
  if (wish.source === 'unpacked') return unpackedRedis(redisFolder(wish.home), wish.log ?? (() => undefined));
  const command = await systemRedis(wish.path);
  if (command === undefined) {
    throw new Error(`neither ${SERVER_NAMES.join(' nor ')} is on the PATH; ${installCommand(process.platform)}`);
  }
  return command;
}

/** The one command that installs Redis on this platform. */
export function installCommand(platform: NodeJS.Platform): string {
  return platform === 'darwin' ? 'brew install redis' : 'sudo apt-get install redis-server';
}

function redisFolder(home: string): string {
  return join(resolve(home), 'redis');
}

function given(redisUrl: string | undefined): RedisHandle {
  if (redisUrl === undefined || redisUrl === '') {
    throw new Error('Redis by URL was asked for, but REDIS_URL is not set: REDIS_URL=redis://host:6379');
  }
  if (!/^rediss?:\/\/./.test(redisUrl)) throw new Error('REDIS_URL must begin with redis:// or rediss://');
  return { kind: 'url', url: redisUrl, stop: async () => undefined };
}

function embedded(): RedisHandle {
  return { kind: 'embedded', url: 'embedded', stop: async () => undefined };
}

async function systemRedis(path: string | undefined): Promise<RedisCommand | undefined> {
  const folders = (path ?? process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const name of SERVER_NAMES) {
    for (const folder of folders) {
      const candidate = join(folder, name);
      const found = await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return { path: candidate, env: {} };
    }
  }
  return undefined;
}

async function started(wish: RedisWish, kind: RedisSource, command: RedisCommand): Promise<RedisHandle> {
  const folder = redisFolder(wish.home);
  const dataDir = join(folder, 'data');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await stopOrphan(folder, dataDir);
  const server = await startOnFreePort(command, dataDir);
  await writeFile(join(folder, 'port'), `${server.port}\n`, { mode: 0o600 });
  return handleOf(kind, command, server, dataDir);
}

function handleOf(kind: RedisSource, command: RedisCommand, server: RedisProcess, dataDir: string): RedisHandle {
  const { url, pid, port, exited, stop } = server;
  const startAgain = async (): Promise<RedisHandle> =>
    handleOf(kind, command, await startRedisServer({ command, port, dataDir }), dataDir);
  return { kind, url, pid, command, exited, startAgain, stop };
}

/** A port that was free may be taken by the time Redis binds it: another one, a few times. */
async function startOnFreePort(command: RedisCommand, dataDir: string): Promise<RedisProcess> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freeLoopbackPort();
    try {
      return await startRedisServer({ command, port, dataDir });
    } catch (error) {
      if (attempt === START_COUNT_MAX || !String(error).includes('Address already in use')) throw error;
    }
  }
}

/**
 * Stops the Redis of an earlier launcher that was killed: two servers on one append-only file destroy it. It is ours
 * only if it says that it works in our data folder.
 */
async function stopOrphan(folder: string, dataDir: string): Promise<void> {
  const port = Number(await readFile(join(folder, 'port'), 'utf8').catch(() => ''));
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return;
  const answer = await askRedis(port, 'CONFIG GET dir');
  if (answer?.split('\r\n').includes(dataDir) !== true) return;
  await askRedis(port, 'SHUTDOWN');
  for (let poll = 0; poll < ORPHAN_POLL_COUNT_MAX; poll += 1) {
    if ((await askRedis(port, 'PING')) === undefined) return;
    await sleep(ORPHAN_POLL_MS);
  }
  throw new Error(`a Redis of an earlier start still runs on port ${port} and does not stop: end it, then start again`);
}
