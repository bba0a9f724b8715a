/**
 * A redis-server of a spec's own: PARTITA_TEST_REDIS_SERVER names the binary (PARTITA_TEST_REDIS_LIBRARY_PATH its
 * libraries), else it is the one on the PATH.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { MetadataStore } from '../metadata-store.ts';
import { createRedisMetadataStore } from '../redis-metadata-store.ts';

const server = setting('PARTITA_TEST_REDIS_SERVER') ?? onPath('redis-server');
const libraries = setting('PARTITA_TEST_REDIS_LIBRARY_PATH');
export const CLUSTER_ID = '0c9e3f5a-0000-4000-8000-000000000001';

/** False where no server can be had: the specs are skipped. */
export const hasRedis = server !== undefined;

export class OwnRedis {
  readonly folder = mkdtempSync(join(tmpdir(), 'partita-metadata-'));
  readonly port: number;
  /** Commands past the store. */
  readonly raw: Redis;
  child: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
    this.raw = new Redis(port, '127.0.0.1', {
      retryStrategy: () => 50,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
    });
    this.raw.on('error', () => undefined);
  }

  static async start(...more: string[]): Promise<OwnRedis> {
    const redis = new OwnRedis(await freePort());
    await redis.start(...more);
    return redis;
  }

  async start(...more: string[]): Promise<void> {
    const { port, folder } = this;
    const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
    const args = [...where, '--appendonly', 'yes', '--save', ''];
    const env = libraries === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries };
    this.child = spawn(server ?? '', [...args, ...more], { stdio: 'ignore', env });
    for (let poll = 0; poll < 500; poll += 1) {
      const answer = await this.raw.ping().catch(() => undefined);
      if (answer === 'PONG') return;
      await sleep(20);
    }
    throw new Error('redis-server did not start');
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child === undefined) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
    this.child = undefined;
  }

  /** Stops it for good. */
  async dispose(): Promise<void> {
    this.raw.disconnect();
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  open(clusterId = CLUSTER_ID): MetadataStore {
    return createRedisMetadataStore({ url: `redis://127.0.0.1:${this.port}`, cluster: 'test', clusterId });
  }
}

function setting(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

function onPath(name: string): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
