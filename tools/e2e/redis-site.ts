/**
 * A Redis of a suite's own under a cluster: killed, started again on its data, on an older copy of it or on none, with a
 * client past the cluster. Between the two stands a proxy that may hang, be slow, answer errors, or lead to another Redis.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeLoopbackPort, startRedisServer } from '@partita/tool-dev/redis-server.ts';
import type { RedisCommand, RedisProcess } from '@partita/tool-dev/redis-server.ts';
import { Redis } from 'ioredis';
import { killNow } from './processes.ts';
import { RedisProxy } from './redis-proxy.ts';

export class RedisSite {
  readonly #command: RedisCommand;
  readonly #folder = mkdtempSync(join(tmpdir(), 'partita-redis-'));
  readonly #port: number;
  readonly proxy: RedisProxy;
  /** Past the proxy. */
  readonly raw: Redis;
  #server: RedisProcess | undefined;
  #copies = 0;

  private constructor(command: RedisCommand, port: number, proxy: RedisProxy) {
    this.#command = command;
    this.#port = port;
    this.proxy = proxy;
    this.raw = new Redis(port, '127.0.0.1', { lazyConnect: true, maxRetriesPerRequest: null });
    this.raw.on('error', () => undefined); // it is killed on purpose
  }

  static async start(command: RedisCommand): Promise<RedisSite> {
    const port = await freeLoopbackPort();
    const site = new RedisSite(command, port, await RedisProxy.start(port));
    await site.start();
    return site;
  }

  /** For the cluster: through the proxy. */
  get url(): string {
    return `redis://127.0.0.1:${this.proxy.port}`;
  }

  /** Past the proxy. */
  get directUrl(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  async start(): Promise<void> {
    this.#server = await startRedisServer({ command: this.#command, port: this.#port, dataDir: this.#dataDir });
  }

  async kill(): Promise<void> {
    killNow([this.pid]);
    await this.#server?.exited;
  }

  /** Stopped: takes connections and commands, and answers nothing. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid, name);
  }

  /** Without its data; stopped. */
  wipe(): void {
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  /** Copies what is stored now, as a backup does; the returned function puts it in the place of a stopped Redis' data. */
  async backUp(): Promise<() => void> {
    await this.raw.bgrewriteaof();
    while (/aof_rewrite_in_progress:1/.test(await this.raw.info('persistence')))
      await new Promise((resolve) => setTimeout(resolve, 20));
    const copy = join(this.#folder, `copy-${(this.#copies += 1)}`);
    cpSync(this.#dataDir, copy, { recursive: true });
    return () => {
      this.wipe();
      cpSync(copy, this.#dataDir, { recursive: true });
    };
  }

  /** Another Redis that copies this one as it goes. */
  async startReplica(): Promise<{ readonly raw: Redis; readonly port: number; stop(): Promise<void> }> {
    const port = await freeLoopbackPort();
    const server = await startRedisServer({ command: this.#command, port, dataDir: join(this.#folder, 'replica') });
    const raw = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null });
    raw.on('error', () => undefined);
    await raw.replicaof('127.0.0.1', String(this.#port));
    while (!/master_link_status:up/.test(await raw.info('replication')))
      await new Promise((resolve) => setTimeout(resolve, 20));
    const stop = async (): Promise<void> => {
      raw.disconnect();
      await server.stop();
    };
    return { raw, port, stop };
  }

  /** Ends everything and removes the data. */
  async dispose(): Promise<void> {
    this.raw.disconnect();
    this.proxy.close();
    await this.#server?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #dataDir(): string {
    return join(this.#folder, 'data');
  }
}
