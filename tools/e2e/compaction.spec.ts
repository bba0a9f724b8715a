/** A compacted topic equals a model of it, and the compaction does not disturb those who produce meanwhile. */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { CleanupPolicy, FlushMode } from '@partita/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, keyOf, valueOf } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

const RECORD_COUNT = LONG ? 1_000_000 : 50_000;
const KEY_COUNT = LONG ? 10_000 : 500;
const WINDOW_PAIR_COUNT = 5;
const WINDOW_MS = 10_000;
/** Enough that a compaction never runs out of work within a window, at the pace that a broker allows it. */
const BULK_PARTITION_COUNT = 48;
const BULK_PARTITION_BYTES = 16 * 1024 * 1024;

const COMPACT = CleanupPolicy.CLEANUP_POLICY_COMPACT;
let probes: string;
let cluster: Cluster;
let client: PartitaClient;

beforeAll(async () => {
  probes = mkdtempSync(join(tmpdir(), 'partita-probes-'));
  const config = join(probes, 'broker.json');
  writeFileSync(config, JSON.stringify({ 'retention-interval': '200ms' }));
  cluster = await startCluster({
    brokers: 1,
    args: ['--broker-config', config],
    env: { NODE_OPTIONS: `--import=${import.meta.resolve('./event-loop-probe.ts')}`, EVENT_LOOP_PROBE_DIR: probes },
  });
  client = await connect({ servers: [cluster.addresses.gateway], clientId: 'compaction' });
});
afterAll(async () => {
  await client.close();
  await cluster.dispose();
  rmSync(probes, { recursive: true, force: true });
});

interface Compacted {
  readonly topicId: string;
  readonly cleanedTo: number;
  readonly seconds: number;
  readonly time: string;
}

/** What the broker said about compactions, oldest first. */
function compactions(): Compacted[] {
  const lines = globSync(join(cluster.home, 'logs', 'broker-1.log*'))
    .sort()
    .reverse()
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  return lines.filter((line) => line.includes('"compacted a log"')).map((line) => JSON.parse(line) as Compacted);
}

describe('a compacted topic', () => {
  it(
    `of ${RECORD_COUNT} records over ${KEY_COUNT} keys equals the model`,
    async () => {
      const settings = { cleanupPolicy: COMPACT, segmentBytes: LONG ? 8n << 20n : 1n << 20n };
      const topic = await client.admin.createTopic({ name: 'accounts', partitionCount: 1, settings });
      // The last batches of a session stay as they are for a while, since they may be sent again: small ones, so that most goes.
      const producer = client.producer({ batchBytesMax: 64 * 1024 });
      /** By offset: key and value, undefined for a tombstone. */
      const model = new Map<number, { key: string; value: string | undefined }>();
      const open = new Set<Promise<void>>();
      for (let number = 0; number < RECORD_COUNT; number += 1) {
        const key = `key ${(number * 7919) % KEY_COUNT}`;
        const value = number % 50 === 49 ? undefined : `${number} ${'x'.repeat(60)}`;
        const sending = producer
          .send('accounts', value === undefined ? { key } : { key, value })
          .then((sent) => void model.set(Number(sent.offset), { key, value }))
          .finally(() => open.delete(sending));
        open.add(sending);
        if (open.size >= 20_000) await Promise.race(open);
      }
      await Promise.all(open);
      await producer.close();
      expect(model.size).toBe(RECORD_COUNT);
      const mine = () => compactions().filter(({ topicId }) => topicId === topic.topicId);
      await until('most of the log to be compacted', 120, () => (mine().at(-1)?.cleanedTo ?? 0) > RECORD_COUNT * 0.7);
      // The last one that is worth it may still be under way.
      for (let count = -1; count !== mine().length; await sleep(3000)) count = mine().length;
      const cleanedTo = mine().at(-1)?.cleanedTo ?? 0;
      const lastOf = new Map<string, number>();
      for (const [offset, { key }] of model) {
        if (offset < cleanedTo) lastOf.set(key, Math.max(offset, lastOf.get(key) ?? 0));
      }
      const expected = [...model.keys()]
        .filter((offset) => offset >= cleanedTo || lastOf.get(model.get(offset)?.key ?? '') === offset)
        .sort((a, b) => a - b);
      const api = new Api(cluster);
      const found = await api.readPartition('accounts', 0);
      api.close();
      expect(found.map(({ offset }) => Number(offset))).toEqual(expected);
      for (const consumed of found) {
        const { key, value } = model.get(Number(consumed.offset)) ?? {};
        expect([keyOf(consumed), valueOf(consumed)]).toEqual([key, value ?? '']);
        expect(consumed.record?.value === undefined).toBe(value === undefined);
      }
      figure('compaction', 'records produced', RECORD_COUNT);
      figure('compaction', 'keys', KEY_COUNT);
      figure('compaction', 'records left, all as in the model', found.length);
      figure('compaction', 'compactions', mine().length);
      figure(
        'compaction',
        'seconds of compaction',
        mine().reduce((sum, { seconds }) => sum + seconds, 0),
      );
    },
    LONG ? 600_000 : 120_000,
  );
});

/** Milliseconds of every send in a window of time, at a steady rate that does not wait for answers. */
async function produceFor(ms: number): Promise<number[]> {
  const producer = client.producer();
  const latencies: number[] = [];
  const open: Promise<void>[] = [];
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) {
    const startedMs = performance.now();
    open.push(
      producer
        .send('latency', { key: String(open.length), value: 'x'.repeat(100) })
        .then(() => void latencies.push(performance.now() - startedMs)),
    );
    await sleep(4);
  }
  await Promise.all(open);
  await producer.close();
  return latencies;
}

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN;
}

/** The worst p99 of the broker's event loop delay within a time, of half a second each, milliseconds. */
function eventLoopDelays(fromMs: number, toMs: number): number[] {
  const lines = globSync(join(probes, 'broker-*.jsonl')).flatMap((file) =>
    readFileSync(file, 'utf8').trim().split('\n'),
  );
  return lines
    .map((line) => JSON.parse(line) as { wallMs: number; p99Ms: number })
    .filter(({ wallMs }) => wallMs > fromMs && wallMs <= toMs)
    .map(({ p99Ms }) => p99Ms);
}

async function fillBulk(): Promise<void> {
  const settings = { segmentBytes: 4n << 20n, flush: FlushMode.FLUSH_MODE_OS };
  await client.admin.createTopic({ name: 'bulk', partitionCount: BULK_PARTITION_COUNT, settings });
  const producer = client.producer();
  const value = Buffer.alloc(4000, 'v');
  const count = (BULK_PARTITION_COUNT * BULK_PARTITION_BYTES) / value.length;
  const open = new Set<Promise<unknown>>();
  for (let number = 0; number < count; number += 1) {
    const record = { key: `key ${(number * 7919) % 10_000}`, value };
    const sending = producer.send('bulk', record, { partition: number % BULK_PARTITION_COUNT });
    open.add(sending);
    void sending.finally(() => open.delete(sending));
    if (open.size >= 5000) await Promise.race(open);
  }
  await Promise.all(open);
  await producer.close();
}

const whileItRuns = () => {
  it('producing is hardly slower than while it pauses', async () => {
    const flush = FlushMode.FLUSH_MODE_OS;
    await client.admin.createTopic({ name: 'latency', partitionCount: 4, settings: { flush } });
    await fillBulk();
    await produceFor(3000);
    const ratios: number[] = [];
    const delays: number[] = [];
    for (let pair = 0; pair < WINDOW_PAIR_COUNT; pair += 1) {
      const paused = percentile(await produceFor(WINDOW_MS), 0.9);
      const before = compactions().length;
      await client.admin.updateTopic('bulk', { settings: { cleanupPolicy: COMPACT } });
      const fromMs = Date.now();
      const running = percentile(await produceFor(WINDOW_MS), 0.9);
      delays.push(...eventLoopDelays(fromMs, Date.now()));
      await client.admin.updateTopic('bulk', { settings: { cleanupPolicy: CleanupPolicy.CLEANUP_POLICY_DELETE } });
      // The one under way is finished.
      await sleep(4000);
      const seconds = compactions()
        .slice(before)
        .reduce((sum, compacted) => sum + compacted.seconds, 0);
      expect(seconds, 'a compaction runs all the time of its window').toBeGreaterThan(0.8 * (WINDOW_MS / 1000));
      ratios.push(running / paused);
      figure(
        'compaction',
        `p90 of produce, window ${pair + 1}, ms: paused, running`,
        `${paused.toFixed(1)}, ${running.toFixed(1)}`,
      );
    }
    const median = percentile(ratios, 0.5);
    figure('compaction', 'median of the ratios of p90, running to paused', median);
    figure(
      'compaction',
      'event-loop delay of the broker while it runs, worst p99 of half a second, ms',
      Math.max(...delays),
    );
    figure('compaction', 'event-loop delay of the broker while it runs, median of those, ms', percentile(delays, 0.5));
    expect(median).toBeLessThanOrEqual(1.5);
    expect(percentile(delays, 0.99)).toBeLessThan(20);
  }, 600_000);
};

// Ten windows of ten seconds each: not in the gate, and no timed test is.
if (LONG) describe('while a compaction runs', whileItRuns);
