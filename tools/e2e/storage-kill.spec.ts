/**
 * kill -9 in a loop, of the brokers alone and of everything, while small segments roll: nothing acknowledged is lost,
 * with either way to flush, since the page cache outlives a process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { FlushMode } from '@partita/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { loggedErrors, startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { killNow } from './processes.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';
import { Ledger, writeSdk, writeUnary } from './writers.ts';

const ROUND_COUNT = LONG ? 50 : 2;
/** Of each topic in each round, before the time of the kill is drawn. */
const ACKED_COUNT_MIN = 50;
const WRITE_MS_MAX = 1200;
const SEGMENT_BYTES = 64 * 1024;
const BROKER_COUNT = 2;
/** As long as the launcher's longest wait in one of these rounds, and a start. */
const RESTART_SECONDS_MAX = 30;

const ledgers = [
  { ledger: new Ledger('kept-by-fsync', 3, { paddingChars: 300 }), flush: FlushMode.FLUSH_MODE_FSYNC },
  { ledger: new Ledger('kept-by-os', 3, { paddingChars: 300, fsynced: false }), flush: FlushMode.FLUSH_MODE_OS },
];
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ brokers: BROKER_COUNT });
  const api = new Api(cluster);
  for (const { ledger, flush } of ledgers) {
    await until('the topic', 20, () =>
      api.createTopic(ledger.topic, ledger.partitionCount, { flush, segmentBytes: BigInt(SEGMENT_BYTES) }),
    );
  }
  api.close();
});
afterAll(() => cluster.dispose());

/** kill -9 of the brokers; the launcher starts them again. Returns the seconds until records are taken again. */
async function killBrokers(): Promise<number> {
  const killed = cluster.file.pids.broker;
  const killedMs = performance.now();
  killNow(killed);
  await until('the brokers to be back', RESTART_SECONDS_MAX, () => {
    const { broker } = cluster.file.pids;
    return broker.length === BROKER_COUNT && !broker.some((pid) => killed.includes(pid));
  });
  return (performance.now() - killedMs) / 1000;
}

/** kill -9 of every process, and a new start. Returns the seconds of the start. */
async function killEverything(): Promise<number> {
  await cluster.killEverything();
  cluster = await startCluster({ brokers: BROKER_COUNT, home: cluster.home });
  return cluster.readySeconds;
}

/** One round: writes, kills at a random moment, and holds everything against the books. Returns the seconds to be back. */
async function round(kill: () => Promise<number>): Promise<number> {
  const writing = new Api(cluster);
  const { gateway } = cluster.addresses;
  const writers = [];
  for (const { ledger } of ledgers) {
    writers.push(writeUnary(writing, ledger), await writeSdk(gateway, ledger));
  }
  const before = ledgers.map(({ ledger }) => ledger.acked.size);
  await until('records to be acknowledged', 30, () =>
    ledgers.every(({ ledger }, index) => ledger.acked.size >= (before[index] ?? 0) + ACKED_COUNT_MIN),
  );
  await sleep(Math.random() * WRITE_MS_MAX);
  // Its signals are out when it returns for the first time; the writers learn of nothing before.
  const returning = kill();
  const stopping = Promise.all(writers.map((writer) => writer.stop()));
  writing.close();
  await stopping;
  const seconds = await returning;

  const api = new Api(cluster);
  for (const { ledger } of ledgers) {
    const taken = ledger.writer();
    await until('a record to be taken', 20, () => api.produce(ledger.topic, [taken()]));
    await ledger.check(api);
  }
  api.close();
  expect(loggedErrors(cluster.home)).toEqual([]);
  return seconds;
}

describe('after kill -9 while segments roll', () => {
  it(
    `everything acknowledged is there and no replica is suspect, in ${ROUND_COUNT} rounds`,
    async () => {
      let [slowestRestart, slowestStart] = [0, 0];
      for (let number = 1; number <= ROUND_COUNT; number += 1) {
        if (number % 2 === 1) slowestRestart = Math.max(slowestRestart, await round(killBrokers));
        else slowestStart = Math.max(slowestStart, await round(killEverything));
      }
      const total = (of: (ledger: Ledger) => number): number =>
        ledgers.reduce((sum, { ledger }) => sum + of(ledger), 0);
      figure('storage', 'kill -9: rounds, brokers and everything in turn', ROUND_COUNT);
      figure(
        'storage',
        'kill -9: records sent',
        total(({ sent }) => sent.size),
      );
      figure(
        'storage',
        'kill -9: records acknowledged',
        total(({ acked }) => acked.size),
      );
      figure('storage', 'kill -9: acknowledged records lost, doubled or out of order', 0);
      figure('storage', 'kill -9: replicas suspect', 0);
      figure('storage', 'kill -9: slowest return of killed brokers, seconds', slowestRestart);
      figure('storage', 'kill -9: slowest start of everything, seconds', slowestStart);
    },
    ROUND_COUNT * 90_000,
  );
});
