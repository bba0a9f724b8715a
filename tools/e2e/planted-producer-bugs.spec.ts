/**
 * The checker of producers' histories put to the test: on a cluster, or with clients, that have a bug, it finds what the bug does
 * while gateways are killed. Without one it finds nothing, as producers.spec.ts shows.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import { BUG_VARIABLE } from './planted-bugs.ts';
import { PLANTED_PRODUCER_BUGS } from './planted-producer-bugs.ts';
import { killNow } from './processes.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';
import { WatchedProducers } from './watched-producers.ts';

const GATEWAY_COUNT = 2;
/** An answer is lost only when a gateway dies between a leader's and its own: seldom, on a machine that has nothing else to do. */
const KILL_COUNT = 14;
const QUIET_MS = 600;
const CLIENT_COUNT = 3;
const LOADER = fileURLToPath(new URL('./plant-bug.ts', import.meta.url));

describe('a history of producers', () => {
  // Each takes a cluster of its own; the gate has the checker's own tests.
  it.runIf(LONG).each(PLANTED_PRODUCER_BUGS)('where $name shows it as $anomaly (long form only)', async (bug) => {
    const env = { NODE_OPTIONS: `--import ${LOADER}`, [BUG_VARIABLE]: bug.name };
    const cluster = await startCluster({
      args: ['--gateways', String(GATEWAY_COUNT)],
      ...(bug.where === 'cluster' ? { env } : {}),
    });
    try {
      const producers = new WatchedProducers(() => cluster, 'watched', 2, {
        clientCount: CLIENT_COUNT,
        ...(bug.where === 'clients' ? { env: { ...process.env, ...env } } : {}),
      });
      await producers.topic.create();
      const { verdict } = await producers.watch(async () => {
        for (let kill = 0; kill < KILL_COUNT; kill += 1) {
          await sleep(QUIET_MS);
          const pid = cluster.file.pids.gateway[kill % GATEWAY_COUNT] ?? 0;
          killNow([pid]);
          await until('the gateway to be back', 30, () => {
            const { gateway: pids } = cluster.file.pids;
            return pids.length === GATEWAY_COUNT && !pids.includes(pid);
          });
        }
      });
      const found = Object.keys(verdict.anomalies);
      expect(
        [bug.anomaly, ...bug.orElse].some((anomaly) => found.includes(anomaly)),
        `found: ${found.join(', ')}`,
      ).toBe(true);
      figure('producers', `planted bug found as ${bug.anomaly}: ${bug.name}`, 1);
    } finally {
      await cluster.dispose();
    }
  });
});
