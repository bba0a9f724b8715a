/** `npm start` from an empty home, with each source of Redis; its ready file, its restarts and its ends. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readyFilePath } from '@partita/tool-dev/ready-file.ts';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { launch, newHome, startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { isAlive, killNow, processesOf, untilNoneLeft } from './processes.ts';
import { redisBinary } from './redis-binary.ts';
import { until, within } from './until.ts';

const ADDRESS: unknown = expect.stringMatching(/^127\.0\.0\.1:\d{4,5}$/);
const PID: unknown = expect.toSatisfy((pid: number) => Number.isInteger(pid) && isAlive(pid));
const READY_SECONDS_MAX = 60;
/** What the launcher says when the machine cannot have an unpacked Redis. */
const CANNOT_UNPACK =
  /apt-get could not download|on Debian and Ubuntu only|no unpacked Redis for|Redis cannot be unpacked/;

describe('a cluster from an empty home', () => {
  let cluster: Cluster | undefined;
  afterEach(async () => {
    await cluster?.dispose();
    cluster = undefined;
  });

  it.for(['system', 'unpacked', 'embedded'] as const)('is ready within 60 s, Redis: %s', async (redis, { skip }) => {
    const binary = await redisBinary();
    if (redis === 'system' && typeof binary === 'string') skip(binary);
    try {
      cluster = await startCluster({ redis, brokers: 1 });
    } catch (error) {
      if (redis === 'unpacked' && CANNOT_UNPACK.test(String(error))) skip(String(error).slice(0, 300));
      throw error;
    }
    figure('start', `seconds to ready, Redis: ${redis}`, cluster.readySeconds);
    expect(cluster.readySeconds).toBeLessThan(READY_SECONDS_MAX);
    const { redis: url, pids } = cluster.file;
    expect(url).toEqual(redis === 'embedded' ? 'embedded' : expect.stringMatching(/^redis:\/\/127\.0\.0\.1:\d+$/));
    expect(pids.redis).toHaveLength(redis === 'embedded' ? 0 : 1);
    await cluster.stop();
    expect(existsSync(readyFilePath(cluster.home))).toBe(false);
  });
});

describe('a running cluster', () => {
  let cluster: Cluster;
  let api: Api;
  beforeAll(async () => {
    cluster = await startCluster({ args: ['--gateways', '2'], restartWaitMax: '2s' });
    api = new Api(cluster);
  });
  afterAll(async () => {
    api.close();
    await cluster.dispose();
  });

  it('tells in cluster.json where everything is, and nothing else', async () => {
    const broker = (id: number): unknown => ({
      ...{ id, address: ADDRESS, peerAddress: ADDRESS, pid: PID, dataDir: `${cluster.home}/broker-${id}` },
    });
    const redis = typeof (await redisBinary()) === 'string' ? [] : [PID];
    expect(JSON.parse(readFileSync(readyFilePath(cluster.home), 'utf8'))).toEqual({
      gateway: ADDRESS,
      gateways: [ADDRESS, ADDRESS],
      consumerGroup: ADDRESS,
      consumerGroups: [ADDRESS],
      coordinators: [ADDRESS],
      coordinatorPeers: [ADDRESS],
      brokers: [broker(1), broker(2), broker(3)],
      redis: redis.length === 0 ? 'embedded' : expect.stringMatching(/^redis:\/\/127\.0\.0\.1:\d+$/),
      pids: { coordinator: [PID], broker: [PID, PID, PID], gateway: [PID, PID], consumerGroup: [PID], redis },
    });
    const { gateway, gateways, pids, brokers } = cluster.file;
    expect(gateways[0]).toBe(gateway);
    expect(new Set(gateways).size).toBe(2);
    expect(pids.broker).toEqual(brokers.map(({ pid }) => pid));
  });

  it('prints its addresses and what to type next', () => {
    const { output } = cluster.launcher;
    for (const address of [...Object.values(cluster.addresses), ...cluster.file.gateways])
      expect(output).toContain(address);
    expect(output).toMatch(/npx partita topic create/);
    expect(output).toMatch(/Ready after \d/);
  });

  it('keeps its home to itself: a second launcher is refused and disturbs nothing', async () => {
    const second = await launch({ home: cluster.home });
    const { code } = await within('the refusal', 20, second.ended);
    expect(code).toBe(1);
    expect(second.output).toContain(`process ${cluster.launcher.pid}`);
    expect(existsSync(readyFilePath(cluster.home))).toBe(true);
    expect(cluster.servicePids.every(isAlive)).toBe(true);
  });

  it('starts a broker again that was killed, and names its new process in cluster.json', async () => {
    const [victim] = cluster.file.brokers;
    if (victim === undefined) throw new Error('no broker');
    killNow([victim.pid]);
    const successor = await until('the broker to be back in cluster.json', 30, () => {
      const now = cluster.file.brokers.find(({ id }) => id === victim.id);
      return now !== undefined && now.pid !== victim.pid && isAlive(now.pid) ? now : undefined;
    });
    expect(successor).toEqual({ ...victim, pid: successor.pid });
    expect(cluster.file.pids.broker).toContain(successor.pid);
    expect(cluster.launcher.output).toMatch(/broker-1 was ended by SIGKILL; starting it again in 1 s/);
  });

  it('starts its Redis again that was killed', async ({ skip }) => {
    const [redis] = cluster.file.pids.redis;
    if (redis === undefined) skip('this cluster has no Redis of its own');
    killNow([redis!]);
    await until('Redis to be back in cluster.json', 30, () => {
      const [pid] = cluster.file.pids.redis;
      return pid !== undefined && pid !== redis && isAlive(pid);
    });
  });

  it('has its data after a stop and a start', async () => {
    await until('a topic to be created', 30, () => api.createTopic('kept', 3));
    const values = Array.from({ length: 30 }, (_, index) => `value-${index}`);
    for (const value of values) await api.produce('kept', [{ key: value, value }]);
    api.close();

    const { code } = await cluster.stop();
    expect(code).toBe(0);
    expect(existsSync(readyFilePath(cluster.home))).toBe(false);

    cluster = await startCluster({ home: cluster.home });
    api = new Api(cluster);
    const read = await until('the records', 20, () => api.readValues('kept', 3));
    expect(read.flat().sort()).toEqual(values.sort());
    const { results } = await api.produce('kept', [{ value: 'after' }]);
    expect(results[0]?.outcome?.$case).toBe('ack');
  });
});

describe('the launcher with --no-restart', () => {
  it('reports a process that died, with its last lines, and leaves it dead', async () => {
    const cluster = await startCluster({ brokers: 1, redis: 'embedded', args: ['--no-restart'] });
    try {
      const [pid] = cluster.file.pids.gateway;
      killNow([pid!]);
      await until('the report', 10, () => cluster.launcher.output.includes('gateway was ended by SIGKILL'));
      const report = cluster.launcher.output.slice(cluster.launcher.output.indexOf('gateway was ended'));
      expect(report).not.toContain('starting it again');
      expect(report.split('\n')[1]).toMatch(/^ {4}\S/);
      // Three times what it waits before it starts again what died, unless it is told not to.
      await sleep(1000);
      const processes = processesOf(cluster.home);
      expect(processes.filter(({ command }) => command.includes('producer-gateway'))).toEqual([]);
    } finally {
      await cluster.dispose();
    }
  });
});

describe('the launcher', () => {
  it.for([
    [['--coordinators', '99'], /--coordinators.*1.*5/],
    [['--coordinators', 'two'], /--coordinators/],
    [['--redis', 'postgres'], /--redis.*embedded/],
    [['--broker', '3'], /--broker.*--brokers/],
    [['here'], /here/],
  ] as const)('refuses %s with exit code 2 and touches nothing', async ([args, message]) => {
    const home = newHome();
    rmSync(home, { recursive: true });
    const launcher = await launch({ home, redis: 'embedded', args });
    const { code } = await within('the refusal', 20, launcher.ended);
    expect(launcher.output).toMatch(message);
    expect(code).toBe(2);
    expect(existsSync(home)).toBe(false);
  });

  it('refuses several coordinators without a Redis that they share, and leaves nothing behind', async () => {
    const launcher = await launch({ redis: 'embedded', args: ['--coordinators', '2'] });
    const { code } = await within('the refusal', 20, launcher.ended);
    expect(code).toBe(1);
    expect(launcher.output).toMatch(/several coordinators need a Redis/);
    await untilNoneLeft(launcher.home, 5);
    rmSync(launcher.home, { recursive: true });
  });

  it('leaves no process behind when it is killed alone', async () => {
    const cluster = await startCluster({ brokers: 1, redis: 'embedded' });
    killNow([cluster.launcher.pid]);
    await cluster.launcher.ended;
    await untilNoneLeft(cluster.home, 40);
    await cluster.dispose();
  });
});
