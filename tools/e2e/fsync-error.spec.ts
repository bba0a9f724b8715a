/**
 * A device that fails: strace makes the log's synced writes answer EIO or ENOSPC, in a broker that runs. After a failed
 * sync Linux takes the lost pages for clean, so a second one would lie: it must never be tried.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Topic } from '@partita/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { whyNot } from '@partita/tool-dev/debian-package.ts';
import { figure } from './figures.ts';
import { loggedErrors, startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { Injection } from './injection.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';
import { Ledger, writeSdk, writeUnary } from './writers.ts';

const ROUND_COUNT = LONG ? 5 : 1;
/** Of the launcher, and a deadline that is over before: later the gateway would have the record stored. */
const RESTART_WAIT = '1s';
const DEADLINE_MS = 900;
/** A write to a log is synced by the call itself. */
const SYNCED_WRITES = ['pwrite64', 'pwritev', 'fdatasync'];
/** Times that a write meets ENOSPC before it is let through. */
const REFUSED_WRITE_COUNT = 2;
/** What the broker may say of a failed sync: why its log failed, and that it ends. */
const PROVOKED = [/STORAGE_FAILED/];

const reason = await whyNot(['strace']);

if (reason !== undefined) {
  it.skip('a failing device is not tested', ({ skip }) => skip(reason));
} else {
  describe('a device that fails', suite);
}

function suite(): void {
  const ledger = new Ledger('unlucky', 1);
  let cluster: Cluster;
  let api: Api;
  let topic: Topic;
  let logFile: string;
  beforeAll(async () => {
    cluster = await startCluster({ brokers: 1, restartWaitMax: RESTART_WAIT });
    api = new Api(cluster);
    topic = await until('the topic', 20, () => api.createTopic(ledger.topic, 1));
    logFile = join(cluster.home, 'broker-1', topic.topicId, '0', `${'0'.repeat(20)}.log`);
    await until('a record to be taken', 20, () => send(ledger.writer()()));
  });
  afterAll(async () => {
    api.close();
    await cluster.dispose(PROVOKED);
  });

  /** Appends a record and notes it when it was acknowledged. Rejects with PartitaError. */
  const send = async (record: { key: string; value: string }, deadlineMs = 10_000): Promise<true> => {
    const { results } = await api.produce(ledger.topic, [record], { deadlineMs });
    const [result] = results;
    if (result?.outcome?.$case !== 'ack') throw new Error(result?.outcome?.error.message ?? 'no outcome');
    ledger.acked.add(record.value);
    return true;
  };

  const inject = (calls: readonly string[], error: 'EIO' | 'ENOSPC'): Promise<Injection> => {
    const [pid = 0] = cluster.file.pids.broker;
    return Injection.attach({ pid, path: logFile, calls, error, notes: join(cluster.home, 'strace') });
  };

  /** Waits for the end and the return of a broker whose sync fails. */
  const untilBack = async (failing: Injection, pidBefore: number, deaths: number): Promise<void> => {
    await until('the broker to be back', 40, () => {
      const [pid] = cluster.file.pids.broker;
      return pid !== undefined && pid !== pidBefore;
    });
    await failing.detach();
    expect(failing.failedCalls, 'after a failed sync nothing is written again').toHaveLength(1);
    const ends = cluster.launcher.output.match(/broker-1 exited with code \d+/g) ?? [];
    expect(ends.slice(deaths)).toEqual([expect.stringMatching(/with code [13]$/)]);
    await until('a record to be taken', 20, () => send(ledger.writer()()));
    expect(loggedErrors(cluster.home, PROVOKED)).toEqual([]);
  };
  const deathCount = (): number => cluster.launcher.output.match(/broker-1 exited with code/g)?.length ?? 0;

  it('leaves the append under way unacknowledged, ends the broker and loses nothing', async () => {
    const [pid = 0] = cluster.file.pids.broker;
    const deaths = deathCount();
    const failing = await inject(SYNCED_WRITES, 'EIO');
    const outcome = await send(ledger.writer()(), DEADLINE_MS).catch((error: unknown) => error);
    expect(outcome).toMatchObject({ reason: expect.toBeOneOf(['OUTCOME_UNKNOWN', 'STORAGE_FAILED']) as unknown });
    await untilBack(failing, pid, deaths);
    await ledger.check(api);
  }, 60_000);

  it(
    `loses nothing under load, in ${ROUND_COUNT} rounds`,
    async () => {
      for (let round = 1; round <= ROUND_COUNT; round += 1) {
        const [pid = 0] = cluster.file.pids.broker;
        const deaths = deathCount();
        const writers = [writeUnary(api, ledger), await writeSdk(cluster.addresses.gateway, ledger)];
        await sleep(300 + Math.random() * 700);
        try {
          const failing = await inject(SYNCED_WRITES, 'EIO');
          await untilBack(failing, pid, deaths);
        } finally {
          await Promise.all(writers.map((writer) => writer.stop()));
        }
        await ledger.check(api);
      }
      figure('storage', 'failed synced write: rounds', ROUND_COUNT + 1);
      figure('storage', 'failed synced write: tried again', 0);
      figure('storage', 'failed synced write: acknowledged records lost, doubled or out of order', 0);
    },
    ROUND_COUNT * 90_000,
  );

  it('keeps what it could not write for want of space, refuses the rest, and goes on by itself', async () => {
    const [pid] = cluster.file.pids.broker;
    const next = ledger.writer();
    const full = await inject(SYNCED_WRITES, 'ENOSPC');
    const waiting = send(next(), 20_000);
    await until('a write that met ENOSPC', 10, () => full.failedCalls.length > 0);
    const refused = next();
    ledger.sent.delete(refused.value); // the books find it when it is stored nevertheless
    expect(await api.append(topic, 0, [refused])).toBe('STORAGE_FULL');
    await until('the write to be tried again', 10, () => full.failedCalls.length >= REFUSED_WRITE_COUNT);
    await full.detach();
    await waiting;
    await until('a record to be taken', 10, () => send(next()));
    await ledger.check(api);
    expect(cluster.file.pids.broker).toEqual([pid]);
    expect(loggedErrors(cluster.home, PROVOKED)).toEqual([]);
    figure('storage', 'ENOSPC of single writes: acknowledged records lost', 0);
  });
}
