/** kill -9 of every process at once: every acknowledged record is there, exactly once, and each key in order. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { figure } from './figures.ts';
import { killNow } from './processes.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';
import { Ledger, writeSdk, writeUnary } from './writers.ts';

const ROUND_COUNT = LONG ? 20 : 1;
const WRITE_MS = LONG ? 2000 : 1000;
const ledger = new Ledger('killed', 6);
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  const api = new Api(cluster);
  await until('the topic', 20, () => api.createTopic(ledger.topic, ledger.partitionCount));
  api.close();
});
afterAll(() => cluster.dispose());

/** Two writers of each kind write until the disaster that happens after some time. */
async function writeUntil(disaster: () => Promise<void>): Promise<void> {
  const api = new Api(cluster);
  const gateway = cluster.addresses.gateway;
  const writers = [
    writeUnary(api, ledger),
    writeUnary(api, ledger),
    await writeSdk(gateway, ledger),
    await writeSdk(gateway, ledger),
  ];
  await sleep(WRITE_MS);
  await disaster();
  await Promise.all(writers.map((writer) => writer.stop()));
  api.close();
}

describe('after kill -9 of the launcher, Redis and every service at once', () => {
  it(
    `everything acknowledged is there, in ${ROUND_COUNT} rounds`,
    async () => {
      let slowestSeconds = 0;
      for (let round = 1; round <= ROUND_COUNT; round += 1) {
        const ackedBefore = ledger.acked.size;
        await writeUntil(() => cluster.killEverything());
        expect(ledger.acked.size).toBeGreaterThan(ackedBefore + 100);

        cluster = await startCluster({ home: cluster.home });
        slowestSeconds = Math.max(slowestSeconds, cluster.readySeconds);
        const api = new Api(cluster);
        await until('a record to be taken', 20, () => api.produce(ledger.topic, [ledger.writer()()]));
        await ledger.check(api);
        api.close();
      }
      figure('kill', 'rounds of kill -9 of everything', ROUND_COUNT);
      figure('kill', 'records sent', ledger.sent.size);
      figure('kill', 'records acknowledged', ledger.acked.size);
      figure('kill', 'acknowledged records lost, doubled or out of order', 0);
      figure('kill', 'slowest start after a kill, seconds', slowestSeconds);
    },
    ROUND_COUNT * 90_000,
  );
});

describe('after kill -9 of one broker', () => {
  it('everything acknowledged is there, and producing goes on by itself', async () => {
    const [victim] = cluster.file.brokers;
    await writeUntil(async () => {
      killNow([victim!.pid]);
      await until('the broker to be back', 30, () => cluster.file.brokers[0]?.pid !== victim!.pid);
      const acked = ledger.acked.size;
      await until('records to be acknowledged again', 20, () => ledger.acked.size > acked + 100);
    });
    const api = new Api(cluster);
    await ledger.check(api);
    api.close();
  });
});
