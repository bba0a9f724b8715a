/** Provides the suites with a Redis server binary: the system's, or the distribution's package unpacked below .nx. */
import { join } from 'node:path';
import { redisServerCommand } from '@partita/tool-dev/redis.ts';
import { ROOT } from './run-command.ts';

/** Ignored by git, and kept, so that only the first run fetches anything. */
const HOME = join(ROOT, '.nx/test-redis');

/**
 * The environment that tells the suites where the binary is. Empty, with a line that says so, when none can be had:
 * the suites that need it then skip, and the summary names them.
 */
export async function testRedis(): Promise<Record<string, string>> {
  const reasons: string[] = [];
  for (const source of ['system', 'unpacked'] as const) {
    try {
      const { path, env } = await redisServerCommand({ home: HOME, source, log: (line) => console.log(line) });
      const libraries = env['LD_LIBRARY_PATH'];
      return {
        PARTITA_TEST_REDIS_SERVER: path,
        ...(libraries === undefined ? {} : { PARTITA_TEST_REDIS_LIBRARY_PATH: libraries }),
      };
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  console.log(`No Redis for the suites, those that need it are skipped: ${reasons.join('; ')}`);
  return {};
}
