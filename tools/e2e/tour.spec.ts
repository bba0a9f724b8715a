/** `npm run tour` on a running cluster; in the long form with each source of Redis. */
import { afterEach, describe, expect, it } from 'vitest';
import { run } from './command.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { redisBinary } from './redis-binary.ts';
import { LONG } from './root.ts';

const SOURCES = LONG ? (['system', 'unpacked', 'embedded'] as const) : (['system'] as const);

describe('the tour', () => {
  let cluster: Cluster | undefined;
  afterEach(async () => {
    await cluster?.dispose();
    cluster = undefined;
  });

  it.for(SOURCES)('ends with every check true, Redis: %s', async (redis) => {
    const binary = await redisBinary();
    // On a machine without any Redis the tour is shown on what such a machine has.
    cluster = await startCluster({ redis: typeof binary === 'string' ? 'embedded' : redis, traces: true });
    const startedMs = performance.now();
    const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'tour', '--', '--home', cluster.home], {
      secondsMax: 80,
    });
    expect(code, `${stdout}\n${stderr}`).toBe(0);
    expect(stdout).toMatch(/20,000/);
    expect(stdout).toMatch(/4 to 2 members: settled/);
    expect(stdout).toMatch(/broker \d is killed/);
    expect(stdout).toMatch(/npx partita trace show [0-9a-f]{32}/);
    figure('start', `seconds of the tour, Redis: ${redis}`, (performance.now() - startedMs) / 1000);
  });
});
