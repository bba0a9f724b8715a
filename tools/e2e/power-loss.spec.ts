/**
 * Loss of power under a broker: everything is killed, the disk becomes what its device had been given by then, and the
 * machine "starts anew" with another boot id. See loop-disk.ts. In each round a file that nobody synced is written right
 * before, to show that the cut does lose what was only in the page cache.
 */
import { readFileSync, readdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKPOINT_MS } from '@partita/domain';
import { FlushMode, PartitionState } from '@partita/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { whyNot } from '@partita/tool-dev/debian-package.ts';
import { figure } from './figures.ts';
import { loggedErrors, newHome, startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { LoopDisk, whyNoLoopDisk } from './loop-disk.ts';
import { anotherBoot } from './private-boot.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';
import { Ledger, writeSdk, writeUnary } from './writers.ts';

const FSYNC_ROUND_COUNT = LONG ? 50 : 1;
const OS_ROUND_COUNT = LONG ? 10 : 1;
/** Of each topic in each round, before the time of the cut is drawn. */
const ACKED_COUNT_MIN = 20;
const FSYNC_WRITE_MS_MAX = 1200;
/** Shorter than the time to the next checkpoint, which would know what is missing: only the boot id tells of the loss. */
const OS_WRITE_MS_MAX = 300;
const SEGMENT_BYTES = 256 * 1024;
const DISK_MIB = 512;
const PARTITION_COUNT = 3;
/** What a broker says of a replica that may lack something; allowed for topics with flush=os alone. */
const MAY_HAVE_LOST = /a replica may have lost acknowledged records/;

const reason = (await whyNot(['unshare'])) ?? (await whyNoLoopDisk());

if (reason !== undefined) {
  it.skip('loss of power is not tested', ({ skip }) => skip(reason));
} else {
  describe('after a loss of power', suite);
}

function suite(): void {
  const home = newHome();
  const ledger = new Ledger('kept', PARTITION_COUNT, { paddingChars: 300 });
  const settings = { flush: FlushMode.FLUSH_MODE_FSYNC, segmentBytes: BigInt(SEGMENT_BYTES) };
  let disk: LoopDisk | undefined;
  let cluster: Cluster | undefined;
  let unsyncedLost = 0;
  let cuts = 0;

  const start = async (): Promise<Cluster> => {
    cluster = await startCluster({ brokers: 1, home, wrap: anotherBoot(join(home, 'boot-id')) });
    return cluster;
  };

  beforeAll(async () => {
    disk = await LoopDisk.create({ mountPoint: join(home, 'broker-1'), mib: DISK_MIB });
    const api = new Api(await start());
    await until('the topic', 20, () => api.createTopic(ledger.topic, PARTITION_COUNT, settings));
    api.close();
  });
  afterAll(async () => {
    try {
      await cluster?.killEverything();
      await disk?.dispose();
    } finally {
      await cluster?.dispose([MAY_HAVE_LOST]);
      rmSync(home, { recursive: true, force: true });
    }
  });

  /** Writes to the topics, cuts the power at a random moment and starts everything again on what is left. */
  const writeThroughCut = async (ledgers: readonly Ledger[], writeMsMax = FSYNC_WRITE_MS_MAX): Promise<Api> => {
    if (cluster === undefined || disk === undefined) throw new Error('no cluster');
    const writing = new Api(cluster);
    const writers = [];
    for (const books of ledgers) {
      writers.push(writeUnary(writing, books), await writeSdk(cluster.addresses.gateway, books));
    }
    const before = ledgers.map(({ acked }) => acked.size);
    await until('records to be acknowledged', 30, () =>
      ledgers.every(({ acked }, index) => acked.size >= (before[index] ?? 0) + ACKED_COUNT_MIN),
    );
    await sleep(Math.random() * writeMsMax);
    const witness = join(disk.mountPoint, 'unsynced');
    const content = randomBytes(64 * 1024);
    writeFileSync(witness, content);
    await cluster.killEverything();
    await disk.cutPower();
    const stopping = Promise.all(writers.map((writer) => writer.stop()));
    writing.close();
    await stopping;
    cuts += 1;
    if (removeWitness(witness, content) === 'lost') unsyncedLost += 1;
    return new Api(await start());
  };

  it(
    `nothing that was acknowledged is lost with flush=fsync and no replica is suspect, in ${FSYNC_ROUND_COUNT} rounds`,
    async () => {
      let slowestSeconds = 0;
      for (let round = 1; round <= FSYNC_ROUND_COUNT; round += 1) {
        const api = await writeThroughCut([ledger]);
        slowestSeconds = Math.max(slowestSeconds, cluster?.readySeconds ?? 0);
        await until('a record to be taken', 20, () => api.produce(ledger.topic, [ledger.writer()()]));
        await ledger.check(api);
        api.close();
        expect(loggedErrors(home)).toEqual([]);
      }
      figure('storage', 'power loss, flush=fsync: rounds', FSYNC_ROUND_COUNT);
      figure('storage', 'power loss, flush=fsync: records acknowledged', ledger.acked.size);
      figure('storage', 'power loss, flush=fsync: acknowledged records lost, doubled or out of order', 0);
      figure('storage', 'power loss, flush=fsync: replicas suspect', 0);
      figure('storage', 'power loss, flush=fsync: slowest start, seconds', slowestSeconds);
      figure('storage', 'power loss: rounds that lost a file which nobody had synced', `${unsyncedLost} of ${cuts}`);
      // Otherwise the disk would keep everything anyway, and the test could not fail.
      expect(unsyncedLost).toBeGreaterThan(FSYNC_ROUND_COUNT / 2);
    },
    FSYNC_ROUND_COUNT * 90_000,
  );

  it(
    `what is lost with flush=os is never lost silently, in ${OS_ROUND_COUNT} rounds`,
    async () => {
      let [acked, missing, reported] = [0, 0, 0];
      for (let round = 1; round <= OS_ROUND_COUNT; round += 1) {
        const risky = new Ledger(`risky-${round}`, PARTITION_COUNT, { paddingChars: 300, fsynced: false });
        const before = new Api(cluster as Cluster);
        const topic = await until('the topic', 20, () =>
          before.createTopic(risky.topic, PARTITION_COUNT, { ...settings, flush: FlushMode.FLUSH_MODE_OS }),
        );
        before.close();
        await sleep(2 * CHECKPOINT_MS);
        await disk?.sync();
        const api = await writeThroughCut([ledger, risky], OS_WRITE_MS_MAX);
        await until('a record to be taken', 20, () => api.produce(ledger.topic, [ledger.writer()()]));
        await ledger.check(api);
        // Every one of its partitions may lack something and says so: none is led, none is read.
        const { partitions: states } = await api.getTopic(risky.topic);
        for (const { state } of states) expect(state).toBe(PartitionState.PARTITION_STATE_OFFLINE);
        reported += states.length;
        acked += risky.acked.size;
        missing += notOnDisk(risky, join(home, 'broker-1', topic.topicId));
        api.close();
        expect(loggedErrors(home, [MAY_HAVE_LOST])).toEqual([]);
      }
      figure('storage', 'power loss, flush=os: rounds', OS_ROUND_COUNT);
      figure('storage', 'power loss, flush=os: records acknowledged', acked);
      figure('storage', 'power loss, flush=os: acknowledged records that the disk lacked', missing);
      figure(
        'storage',
        'power loss, flush=os: replicas reported as suspect',
        `${reported} of ${OS_ROUND_COUNT * PARTITION_COUNT}`,
      );
      expect(missing).toBeGreaterThan(0);
    },
    OS_ROUND_COUNT * 120_000,
  );
}

/** Whether a power cut took the content of the file that nobody synced; removes what is left of it. */
function removeWitness(path: string, content: Buffer): 'lost' | 'kept' {
  try {
    const kept = readFileSync(path).equals(content);
    unlinkSync(path);
    return kept ? 'kept' : 'lost';
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'lost';
    throw error;
  }
}

/** How many acknowledged values are in no segment file below the topic's directory. They are stored uncompressed. */
function notOnDisk(ledger: Ledger, topicDirectory: string): number {
  const names = readdirSync(topicDirectory, { recursive: true, encoding: 'utf8' });
  const files = names.map((name) => join(topicDirectory, name)).filter((path) => path.endsWith('.log'));
  const found = new Set<string>();
  for (const path of files.filter((file) => statSync(file).isFile())) {
    for (const [value] of readFileSync(path, 'latin1').matchAll(/w\d+k\d+ \d+ -+/g)) found.add(value);
  }
  return [...ledger.acked].filter((value) => !found.has(value)).length;
}
