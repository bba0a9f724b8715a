/**
 * The checker of group histories is itself put to the test: on a consumer-group service with a bug put in it finds what the bug
 * does, by its name, and on the same service without one, nothing. In each round members come and go, and the service dies.
 * The short form plants one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import { BUG_VARIABLE } from './planted-bugs.ts';
import { PLANTED_GROUP_BUGS } from './planted-group-bugs.ts';
import { killNow } from './processes.ts';
import { LONG } from './root.ts';
import { WatchedGroup } from './watched-group.ts';
import type { Watched } from './watched-group.ts';

const PARTITION_COUNT = 12;
const WORK_MS = 6000;
/** A group that a bug has hurt may never have everything. */
const CONSUMED_SECONDS_MAX = LONG ? 5 : 2;
const LOADER = fileURLToPath(new URL('./plant-bug.ts', import.meta.url));
const BUGS = LONG ? PLANTED_GROUP_BUGS : PLANTED_GROUP_BUGS.slice(0, 1);

/** On one broker: nothing is to die here but the service. */
async function watchWith(bug: string): Promise<Watched> {
  const env = { NODE_OPTIONS: `--import ${LOADER}`, [BUG_VARIABLE]: bug };
  const cluster = await startCluster({ brokers: 1, env });
  const api = new Api(cluster);
  try {
    const group = new WatchedGroup(() => cluster, 'hurt', PARTITION_COUNT);
    await api.createTopic(group.topic.name, PARTITION_COUNT);
    const happening = async (): Promise<void> => {
      await sleep(WORK_MS);
      killNow(cluster.file.pids.consumerGroup);
      await sleep(WORK_MS);
    };
    return await group.watch(happening, CONSUMED_SECONDS_MAX);
  } finally {
    api.close();
    await cluster.dispose();
  }
}

describe('the history of a group', () => {
  it.runIf(LONG)('without a bug in its service has no anomaly', async () => {
    const { verdict, missing, members } = await watchWith('');
    expect(verdict.anomalies).toEqual({});
    expect(missing).toEqual([]);
    expect(members.unexpected).toEqual([]);
  });

  it.each(BUGS)('where $name shows it as $anomaly', async ({ name, anomaly }) => {
    const { verdict } = await watchWith(name);
    const found = Object.keys(verdict.anomalies);
    expect(anomaly.split(' or ').filter((name) => found.includes(name))).not.toEqual([]);
    figure('groups', `planted bug found as ${anomaly}`, found.length);
  });
});
