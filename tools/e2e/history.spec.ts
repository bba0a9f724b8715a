/**
 * The workload and the checker of histories on a real cluster: a healthy one, and one whose brokers are killed. Nothing is
 * found, and all that was acknowledged is read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@partita/client';
import { checkHistory } from '@partita/tool-history/checker.ts';
import type { Verdict } from '@partita/tool-history/checker.ts';
import { compareReplicas } from '@partita/tool-history/divergence.ts';
import { Recorder } from '@partita/tool-history/recorder.ts';
import { Workload } from '@partita/tool-history/workload.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { killNow } from './processes.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

const WORK_MS = LONG ? 60_000 : 2500;
const PARTITION_COUNT = 3;
const BROKER_COUNT = 2;
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ brokers: BROKER_COUNT });
});
afterAll(() => cluster.dispose());

/** Works on a new topic while `happening` lasts, reads everything, and checks. */
async function workDuring(topic: string, happening: () => Promise<void>): Promise<Verdict> {
  const endpoints = [cluster.addresses.gateway];
  const client = await connect({ servers: endpoints });
  await until('the topic', 20, () => client.admin.createTopic({ name: topic, partitionCount: PARTITION_COUNT }));
  await client.close();
  const recorder = new Recorder();
  const workload = await Workload.start({ endpoints, topic, recorder });
  await happening();
  await workload.stop();
  expect(await workload.finalRead(15)).toEqual([]);
  const verdict = checkHistory(recorder.events);
  expect(verdict.anomalies).toEqual({});
  expect(verdict.unseenCount).toBe(0);
  expect(verdict.readCount).toBeGreaterThan(verdict.ackedCount);
  return verdict;
}

function report(where: string, verdict: Verdict): void {
  figure('history', `${where}: operations`, verdict.operationCount);
  figure('history', `${where}: records acknowledged`, verdict.ackedCount);
  figure('history', `${where}: records refused`, verdict.failedCount);
  figure('history', `${where}: records whose outcome is unknown`, verdict.unknownCount);
  figure('history', `${where}: records read`, verdict.readCount);
  figure('history', `${where}: anomalies`, Object.keys(verdict.anomalies).length);
  figure('history', `${where}: worst time from ack to read, ms`, Math.max(...Object.values(verdict.lagMsMaxByKey)));
}

describe('a history of producers and readers has no anomaly', () => {
  it('on a healthy cluster, where every send is acknowledged', async () => {
    const verdict = await workDuring('healthy', () => sleep(WORK_MS));
    expect(verdict.ackedCount).toBeGreaterThan(200);
    expect([verdict.failedCount, verdict.unknownCount]).toEqual([0, 0]);
    report('healthy cluster', verdict);
  });

  it('on one whose brokers are killed, where it goes on when they are back', async () => {
    const verdict = await workDuring('killed', async () => {
      await sleep(WORK_MS / 3);
      const killed = cluster.file.pids.broker;
      killNow(killed);
      await until('the brokers to be back', 30, () => {
        const { broker } = cluster.file.pids;
        return broker.length === BROKER_COUNT && !broker.some((pid) => killed.includes(pid));
      });
      await sleep(WORK_MS / 3);
    });
    expect(verdict.ackedCount).toBeGreaterThan(100);
    report('killed brokers', verdict);
  });
});

describe('the comparison of replicas', () => {
  it('finds both replicas equal up to the high watermark, and misses it at a broker that has none', async () => {
    const client = await connect({ servers: [cluster.addresses.gateway] });
    const { topicId } = await client.admin.getTopic('killed');
    const { highWatermark } = await client.admin.listOffset('killed', 0, 'latest');
    const alone = await client.admin.createTopic({ name: 'alone', partitionCount: 1, replicationFactor: 1 });
    const producer = client.producer();
    const { offset } = await producer.send('alone', { value: 'only here' });
    await client.close();
    const dataDirs = cluster.file.brokers.map(({ dataDir }) => dataDir);
    const same = await compareReplicas({ dataDirs, topicId, partition: 0, highWatermark });
    expect(same).toMatchObject({ from: 0n, divergence: undefined });
    expect(same.batchCount).toBeGreaterThan(10);
    const partition = { topicId: alone.topicId, partition: 0, highWatermark: offset + 1n };
    const { divergence } = await compareReplicas({ dataDirs, ...partition });
    const other = cluster.file.brokers.find(({ id }) => id !== alone.partitions[0]?.leaderId)!.dataDir;
    expect(divergence).toEqual({ kind: 'missing below the high watermark', offset: 0n, dataDir: other });
  });
});
