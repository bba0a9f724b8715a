/**
 * The process that runs a cluster under chaos: it makes the network, starts Redis and the services in it, and starts again
 * what dies. It obeys its parent, and when that is gone it ends everything and leaves nothing behind.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { LocalCluster } from '@partita/tool-dev/cluster.ts';
import { LOOPBACK } from '@partita/tool-dev/placement.ts';
import type { Placement } from '@partita/tool-dev/placement.ts';
import { freeLoopbackPort } from '@partita/tool-dev/redis-server.ts';
import { createNetwork, removeNetwork } from '../network/namespaces.ts';
import { memberOf, netOf, planNetwork } from '../network/network-plan.ts';
import { Clocks } from './clocks.ts';
import { HeldRedis } from './held-redis.ts';
import { namesOf, REDIS } from './launcher-messages.ts';
import type { Answer, Asked, ClusterPlan, Member, Order } from './launcher-messages.ts';

const REDIS_PORT = 6379;
/** Supervisors of production wait for longer; here nobody is to wait for them. */
const RESTART_WAIT_MS_MAX = 2000;

const plan = JSON.parse(process.argv[2] ?? '') as ClusterPlan;
const network = plan.hasNetwork ? planNetwork(process.pid, namesOf(plan)) : undefined;
const clocks = new Clocks(plan.home);
const starting = new AbortController();
const running: { redis?: HeldRedis; cluster?: LocalCluster; ending?: Promise<void> } = {};

process.once('disconnect', () => void end());
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end());
process.on('message', (asked: Asked) => void obey(asked));
try {
  await start();
  tell({ kind: 'ready' });
} catch (error) {
  tell({ kind: 'failed', why: error instanceof Error ? error.message : String(error) });
  await end();
}

async function start(): Promise<void> {
  if (network !== undefined) await createNetwork(network);
  running.redis = new HeldRedis({
    command: plan.redisCommand,
    port: network === undefined ? await freeLoopbackPort() : REDIS_PORT,
    dataDir: join(plan.home, 'redis', 'data'),
    placement: place(REDIS),
  });
  await running.redis.start();
  running.cluster = await LocalCluster.start({
    ...plan,
    place,
    redisSource: 'url',
    redisUrl: running.redis.url,
    fresh: false,
    restart: true,
    restartWaitMsMax: RESTART_WAIT_MS_MAX,
    logLevel: 'info',
    brokerConfig: undefined,
    traces: false,
    metrics: false,
    log: (text) => tell({ kind: 'death', text: text.split('\n')[0] ?? '' }),
    signal: starting.signal,
  });
}

function place(name: string): Placement {
  const member = network === undefined ? undefined : memberOf(network, name);
  const env = plan.clockLibrary === undefined ? {} : clocks.environmentOf(name, plan.clockLibrary);
  return { host: member?.address ?? LOOPBACK, wrap: member === undefined ? [] : ['nsenter', netOf(member)], env };
}

async function obey({ number, ...order }: Asked): Promise<void> {
  let error = '';
  try {
    await carryOut(order);
  } catch (thrown) {
    error = String(thrown);
  }
  tell({ kind: 'done', number, members: members(), error });
}

async function carryOut(order: Order): Promise<void> {
  if (order.do === 'members') return;
  const isHold = order.do === 'hold';
  if (order.name === REDIS) return isHold ? running.redis?.hold() : running.redis?.release();
  if (isHold) running.cluster?.hold(order.name);
  else running.cluster?.release(order.name);
}

function members(): Member[] {
  const { cluster, redis } = running;
  const services = (cluster?.members() ?? []).map(({ name, address, pid }) => memberWith(name, address, pid));
  return redis === undefined ? services : [...services, memberWith(REDIS, new URL(redis.url).host, redis.pid)];
}

function memberWith(name: string, address: string, pid: number | undefined): Member {
  return pid === undefined ? { name, address } : { name, address, pid };
}

function tell(answer: Answer): void {
  if (process.connected) process.send?.(answer);
}

/** Once, whoever wants it. */
function end(): Promise<void> {
  running.ending ??= stopAll();
  return running.ending;
}

async function stopAll(): Promise<void> {
  starting.abort();
  await running.cluster?.stop();
  await running.redis?.stop();
  await removeNetwork(process.pid);
  rmSync(join(plan.home, 'clocks'), { recursive: true, force: true });
  process.exit(0);
}
