import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askRedis, freeLoopbackPort, startRedisServer } from './redis-server.ts';
import { installCommand, provideRedis, redisServerCommand } from './redis.ts';

const quiet = (): void => undefined;
const debian =
  existsSync('/etc/os-release') && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));

let home = '';
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'partita-redis-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe('a Redis that is given or not needed', () => {
  it('takes REDIS_URL before anything else and stops nothing', async () => {
    const redis = await provideRedis({ home, redisUrl: 'redis://10.0.0.1:6379', log: quiet });
    expect(redis).toMatchObject({ kind: 'url', url: 'redis://10.0.0.1:6379' });
    expect(redis.pid).toBeUndefined();
    await redis.stop();
  });

  it('says what is missing when the URL was asked for and is not set, or is none', async () => {
    await expect(provideRedis({ home, source: 'url', log: quiet })).rejects.toThrow(/REDIS_URL is not set/);
    await expect(provideRedis({ home, redisUrl: 'http://x', log: quiet })).rejects.toThrow(/redis:\/\//);
  });

  it('runs no process when the store is embedded', async () => {
    const redis = await provideRedis({ home, source: 'embedded', redisUrl: 'redis://ignored', log: quiet });
    expect(redis).toMatchObject({ kind: 'embedded', url: 'embedded' });
    expect(redis.pid).toBeUndefined();
  });

  it('refuses the system source when no server is on the PATH, naming the command that installs one', async () => {
    const wish = { home, source: 'system' as const, log: quiet, path: home };
    await expect(provideRedis(wish)).rejects.toThrow(installCommand(process.platform));
  });

  it('takes a server that is on the PATH', async () => {
    const path = mkdtempSync(join(home, 'bin-'));
    writeFileSync(join(path, 'valkey-server'), '#!/bin/sh\nexit 0\n');
    chmodSync(join(path, 'valkey-server'), 0o755);
    const command = await redisServerCommand({ home, source: 'system', path });
    expect(command).toEqual({ path: join(path, 'valkey-server'), env: {} });
  });

  it('reports the last lines of a server that ends before it is ready', async () => {
    const path = mkdtempSync(join(home, 'bin-'));
    writeFileSync(join(path, 'redis-server'), '#!/bin/sh\necho cannot work here\nexit 1\n');
    chmodSync(join(path, 'redis-server'), 0o755);
    await expect(provideRedis({ home, source: 'system', path, log: quiet })).rejects.toThrow(/cannot work here/);
  });
});

describe.runIf(debian)('a Redis unpacked from the distribution', () => {
  it('is unpacked once, keeps its data over a stop, and reports its process', { timeout: 300_000 }, async () => {
    const lines: string[] = [];
    const wish = { home, path: home, log: (line: string) => lines.push(line) };
    const first = await provideRedis(wish);
    expect(first.kind).toBe('unpacked');
    expect(lines).toHaveLength(1);
    const port = Number(new URL(first.url).port);
    expect(await askRedis(port, 'SET kept yes')).toBe('+OK\r\n');
    expect(await askRedis(port, 'CONFIG GET maxmemory-policy')).toContain('noeviction');
    expect(await askRedis(port, 'CONFIG GET appendonly')).toContain('yes');
    await first.stop();
    expect((await first.exited)?.code).toBe(0);
    expect(await askRedis(port, 'PING')).toBeUndefined();

    const again = await provideRedis({ ...wish, source: 'unpacked' });
    expect(lines).toHaveLength(1);
    expect(await askRedis(Number(new URL(again.url).port), 'GET kept')).toContain('yes');
    await again.stop();
  });

  it('stops the Redis that a killed launcher left on the same data', { timeout: 300_000 }, async () => {
    const wish = { home, path: home, source: 'unpacked' as const, log: quiet };
    const left = await provideRedis(wish);
    const next = await provideRedis(wish);
    expect((await left.exited)?.code).toBe(0);
    expect(next.pid).not.toBe(left.pid);
    await next.stop();
  });

  it('starts, stops and restarts on a port that the caller chose', { timeout: 300_000 }, async () => {
    const command = await redisServerCommand({ home, source: 'unpacked' });
    const { stdout } = await promisify(execFile)(command.path, ['--version'], {
      env: { ...process.env, ...command.env },
    });
    expect(stdout).toContain('Redis server');
    const options = { command, port: await freeLoopbackPort(), dataDir: join(home, 'chosen') };
    const server = await startRedisServer(options);
    await server.stop();
    const restarted = await startRedisServer(options);
    expect(restarted.port).toBe(server.port);
    await restarted.stop();
    await restarted.stop();
  });
});
