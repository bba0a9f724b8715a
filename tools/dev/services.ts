/** Which processes make a cluster, and how each is started. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { PortBook } from './ports.ts';
import type { ServiceSpec } from './supervise.ts';

export interface ClusterPlan {
  readonly home: string;
  readonly clusterId: string;
  readonly brokerCount: number;
  readonly coordinatorCount: number;
  /** `redis://…`, or `embedded`. */
  readonly redisUrl: string;
  readonly logLevel: string;
}

export interface PlannedService extends ServiceSpec {
  readonly address: string;
  readonly peerAddress: string | undefined;
}

export interface PlannedBroker extends PlannedService {
  readonly id: number;
  readonly dataDir: string;
}

export interface PlannedCluster {
  readonly coordinators: readonly PlannedService[];
  readonly brokers: readonly PlannedBroker[];
  readonly gateway: PlannedService;
  readonly consumerGroup: PlannedService;
}

const ROOT = resolve(import.meta.dirname, '../..');
const THREAD_POOL_SIZE = '32';

/** Chooses ports and arguments. The addresses of the coordinators are known before anything runs. */
export async function planCluster(plan: ClusterPlan, ports: PortBook): Promise<PlannedCluster> {
  const coordinators: PlannedService[] = [];
  for (let index = 1; index <= plan.coordinatorCount; index += 1) {
    coordinators.push(
      await service(plan, ports, `coordinator-${index}`, 'coordinator', true, [
        '--cluster-id',
        plan.clusterId,
        '--redis-url',
        plan.redisUrl,
        '--expected-brokers',
        String(plan.brokerCount),
      ]),
    );
  }
  const peers = coordinators.map((coordinator) => coordinator.peerAddress).join(',');
  const brokers: PlannedBroker[] = [];
  for (let id = 1; id <= plan.brokerCount; id += 1) {
    const dataDir = join(plan.home, `broker-${id}`);
    const args = ['--id', String(id), '--data-dir', dataDir, '--cluster-id', plan.clusterId, '--coordinators', peers];
    brokers.push({ ...(await service(plan, ports, `broker-${id}`, 'broker', true, args)), id, dataDir });
  }
  const gateway = await service(plan, ports, 'gateway', 'producer-gateway', false, ['--coordinators', peers]);
  const consumerGroup = await service(plan, ports, 'consumer-group', 'consumer-group', false, [
    '--coordinators',
    peers,
  ]);
  await ports.save();
  return { coordinators, brokers, gateway, consumerGroup };
}

async function service(
  plan: ClusterPlan,
  ports: PortBook,
  name: string,
  app: string,
  peer: boolean,
  args: readonly string[],
): Promise<PlannedService> {
  const address = await ports.address(name);
  const peerAddress = peer ? await ports.address(`${name}-peer`) : undefined;
  const listen = ['--listen', address, ...(peerAddress === undefined ? [] : ['--peer-listen', peerAddress])];
  return {
    name,
    entry: join(ROOT, 'apps', app, 'src', 'main.ts'),
    args: [...listen, ...args, '--log-level', plan.logLevel],
    env: serviceEnvironment(plan.home),
    address,
    peerAddress,
  };
}

/** The launcher's environment without the settings that are meant for the launcher; OTEL_* goes through. */
function serviceEnvironment(home: string): NodeJS.ProcessEnv {
  const cache = join(home, 'cache');
  mkdirSync(cache, { recursive: true });
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('PARTITA_') && name !== 'REDIS_URL',
  );
  return { ...Object.fromEntries(inherited), UV_THREADPOOL_SIZE: THREAD_POOL_SIZE, NODE_COMPILE_CACHE: cache };
}
