/** The redis-server that these suites run: the one that `npm test` provides, else what the launcher itself would take. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RedisCommand } from '@partita/tool-dev/redis-server.ts';
import { redisServerCommand } from '@partita/tool-dev/redis.ts';
import { ROOT } from './root.ts';

let found: Promise<RedisCommand | string> | undefined;

/** The binary, or the reason why none can be had. */
export function redisBinary(): Promise<RedisCommand | string> {
  found ??= find();
  return found;
}

async function find(): Promise<RedisCommand | string> {
  const path = process.env['PARTITA_TEST_REDIS_SERVER'];
  const libraries = process.env['PARTITA_TEST_REDIS_LIBRARY_PATH'];
  if (path) return { path, env: libraries ? { LD_LIBRARY_PATH: libraries } : {} };
  const reasons: string[] = [];
  for (const source of ['system', 'unpacked'] as const) {
    try {
      return await redisServerCommand({ home: join(ROOT, '.nx/test-redis'), source });
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  return `no redis-server: ${reasons.join('; ')}`;
}

/** Makes `folder` a PATH entry with a `redis-server` in it, as on a machine where Redis is installed. */
export function installRedis(command: RedisCommand, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const environment = Object.entries(command.env).map(([name, value]) => `${name}='${value}' `);
  const script = join(folder, 'redis-server');
  writeFileSync(script, `#!/bin/sh\n${environment.join('')}exec '${command.path}' "$@"\n`);
  chmodSync(script, 0o755);
}
