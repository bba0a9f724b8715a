/**
 * Byte rates of topics and clients, on real processes: set by the command line, kept through a Redis that is emptied, and
 * felt by producers and consumers as slowness, or as QUOTA_EXCEEDED by who does not wait.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { PartitaError } from '@partita/domain';
import type { RedisCommand } from '@partita/tool-dev/redis-server.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { run } from './command.ts';
import { figure, figureRow } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { redisBinary } from './redis-binary.ts';
import { RedisSite } from './redis-site.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

const NOISY_PRODUCER = fileURLToPath(new URL('./noisy-producer.ts', import.meta.url));
const KIB = 1024;
const RATE = 256 * KIB;
const VALUE = 'v'.repeat(8 * KIB);
/** With the second's worth that goes at once: two seconds beyond it. */
const RECORD_COUNT = (3 * RATE) / VALUE.length;
/** Another topic's record waits for no quota, whatever else the machine does. */
const UNHELD_MS_MAX = 1500;
const WINDOW_COUNT = 5;
const WINDOW_MS = 16_000;
/** So small a share of the disk that what is let through, two or three synced writes a second, is not the noise. */
const NOISY_RATE = 256 * KIB;
const QUIET_RECORDS_PER_SECOND = 200;

const command = await redisBinary();

if (typeof command === 'string') {
  it.skip('quotas are not tested', ({ skip }) => skip(command));
} else {
  describe('quotas', () => suite(command));
}

function suite(binary: RedisCommand): void {
  let site: RedisSite;
  let cluster: Cluster;
  let api: Api;
  let client: PartitaClient;

  beforeAll(async () => {
    site = await RedisSite.start(binary);
    cluster = await startCluster({ brokers: 1, redis: 'url', env: { REDIS_URL: site.url } });
    api = new Api(cluster);
    client = await connect({ servers: [cluster.addresses.gateway], clientId: 'e2e-quotas' });
    for (const topic of ['slow', 'impatient', 'read', 'free', 'noisy', 'quiet']) await api.createTopic(topic, 1);
  });
  afterAll(async () => {
    await client.close();
    api.close();
    await cluster.dispose();
    await site.dispose();
  });

  async function quota(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run('partita', ['--server', cluster.addresses.gateway, 'quota', ...args]);
    expect(code, stderr).toBe(0);
    return stdout;
  }

  /** Sends the records, and returns the seconds that took. */
  async function timeToSend(topic: string, options: Parameters<PartitaClient['producer']>[0]): Promise<number> {
    const producer = client.producer({ batchBytesMax: 32 * KIB, ...options });
    const beganMs = performance.now();
    const sends = Array.from({ length: RECORD_COUNT }, (_, index) =>
      producer.send(topic, { key: 'k', value: `${index} ${VALUE}` }),
    );
    await Promise.all(sends);
    const seconds = (performance.now() - beganMs) / 1000;
    await producer.close();
    return seconds;
  }

  async function numbersIn(topic: string): Promise<number[]> {
    const values = (await api.readValues(topic, 1)).flat();
    return values.map((value) => Number(value.split(' ')[0]));
  }

  it('slow a topic down to its rate without an error, in order and once, and no other topic', async () => {
    await quota('set', '--topic', 'slow', '--produce', `${RATE / KIB}KiB`);
    await client.admin.updateQuota({ topic: 'impatient', produceBytesPerSecond: BigInt(RATE) });
    await client.admin.updateQuota({ topic: 'read', consumeBytesPerSecond: BigInt(RATE) });
    const producer = client.producer({ batchBytesMax: 32 * KIB });
    await producer.send(
      'read',
      Array.from({ length: RECORD_COUNT }, () => ({ value: VALUE })),
    );
    let longestMs = 0;
    const over = new AbortController();
    const others = (async () => {
      while (!over.signal.aborted) {
        const beganMs = performance.now();
        await producer.send('free', { value: VALUE });
        longestMs = Math.max(longestMs, performance.now() - beganMs);
      }
    })();
    const ways = ['batches', 'direct', 'records'] as const;
    const seconds = [];
    for (const delivery of LONG ? ways : ways.slice(0, 1)) seconds.push(await timeToSend('slow', { delivery }));
    over.abort();
    await others;
    for (const [index, each] of seconds.entries()) {
      figure('quotas', `seconds for 3 s worth of a topic's rate, ${ways[index]}`, each);
      // Plain records are one request that is larger than a second's worth: it goes when nothing is owed.
      expect(each).toBeGreaterThan(0.5);
      expect(each).toBeLessThan(20);
    }
    expect(longestMs).toBeLessThan(UNHELD_MS_MAX);
    const sent = Array.from({ length: RECORD_COUNT }, (_, index) => index);
    expect(await numbersIn('slow')).toEqual(seconds.flatMap(() => sent));
  });

  it('refuse who does not wait, with how long that would be', async () => {
    const calls = Array.from({ length: (4 * RATE) / VALUE.length }, () => api.produce('impatient', [{ value: VALUE }]));
    const outcomes = await Promise.allSettled(calls);
    const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.length).toBeLessThan(calls.length);
    for (const error of errors) {
      expect(error).toBeInstanceOf(PartitaError);
      expect(error).toMatchObject({
        reason: 'QUOTA_EXCEEDED',
        metadata: { quota: 'topic:impatient', limit: String(RATE) },
        retryAfterMs: expect.any(Number) as number,
      });
    }
    expect((await numbersIn('impatient')).length).toBe(calls.length - errors.length);
  });

  it('slow readers down to the rate, and lose nothing', async () => {
    const beganMs = performance.now();
    let count = 0;
    for await (const { value } of client.consumer({ group: 'readers', topics: ['read'] })) {
      expect(value?.length).toBe(VALUE.length);
      count += 1;
      if (count === RECORD_COUNT) break;
    }
    expect(count).toBe(RECORD_COUNT);
    const seconds = (performance.now() - beganMs) / 1000;
    figure('quotas', "seconds to consume 3 s worth of a topic's rate", seconds);
    expect(seconds).toBeGreaterThan(1);
  });

  it('are there after Redis has lost all it had', async () => {
    const listed = async () => {
      const topics: string[] = [];
      for await (const { topic } of client.admin.listQuotas()) topics.push(topic);
      return topics;
    };
    await site.raw.flushall();
    await until('the settings to be back', 20, async () => (await site.raw.keys('*settings*')).length > 0);
    expect(await listed()).toEqual(['impatient', 'read', 'slow']);
    await client.admin.updateQuota({ topic: 'read' });
    expect((await quota('list')).split('\n').map((line) => line.split(/\s+/)[0])).toEqual([
      'TOPIC',
      'impatient',
      'slow',
      '',
    ]);
  });

  it.runIf(LONG)('keep a noisy topic at ten times its rate from moving the others', { timeout: 400_000 }, async () => {
    await quota('set', '--topic', 'noisy', '--produce', `${NOISY_RATE / KIB}KiB`);
    const ratios: number[] = [];
    for (let window = 0; window < WINDOW_COUNT; window += 1) {
      const alone = await quietP99(client);
      const noisy = noisyProducer(cluster.addresses.gateway, 10 * NOISY_RATE);
      await until('the noisy producer', 20, () => noisy.isOffering());
      // A process that has just begun takes a core for itself, whatever it does.
      await sleep(1000);
      const beside = await quietP99(client);
      const counts = await noisy.stop();
      expect(counts).toMatchObject({ failed: 0 });
      expect(counts.refused).toBeGreaterThan(counts.stored);
      ratios.push(beside / alone);
      const cells = [window + 1, alone, beside, counts.stored, counts.refused].map((cell) =>
        String(Math.round(cell * 10) / 10),
      );
      figureRow('quotas', ['window', 'p99 alone, ms', 'p99 beside a noisy topic, ms', 'stored', 'refused'], cells);
    }
    const median = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)]!;
    figure('quotas', 'p99 of a topic beside one at ten times its quota, against alone (median of 5 windows)', median);
    expect(median).toBeLessThan(1.5);
  });
}

/** Sends at a steady pace for a window; the p99 of the acknowledgements, milliseconds. */
async function quietP99(client: PartitaClient): Promise<number> {
  const producer = client.producer();
  const latencies: number[] = [];
  const sends: Promise<void>[] = [];
  const beganMs = performance.now();
  for (let nowMs = beganMs; nowMs < beganMs + WINDOW_MS; nowMs = performance.now()) {
    for (; sends.length < ((nowMs - beganMs) * QUIET_RECORDS_PER_SECOND) / 1000;) {
      const sentMs = performance.now();
      const send = producer.send('quiet', { value: 'q'.repeat(KIB) });
      sends.push(send.then(() => void latencies.push(performance.now() - sentMs)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(sends);
  await producer.close();
  latencies.sort((a, b) => a - b);
  return latencies[Math.floor(latencies.length * 0.99)]!;
}

/** Offers a topic so many bytes a second, from a process of its own. */
function noisyProducer(gateway: string, bytesPerSecond: number) {
  const args = [NOISY_PRODUCER, gateway, 'noisy', String(bytesPerSecond)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  return {
    isOffering: () => output.includes('offering'),
    stop: async () => {
      child.stdin.end();
      await exited;
      return JSON.parse(output.replace('offering', '')) as {
        readonly stored: number;
        readonly refused: number;
        readonly failed: number;
      };
    },
  };
}
