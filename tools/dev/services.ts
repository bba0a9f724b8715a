/** Which processes make a cluster, and how each is started. */
import { join, resolve } from 'node:path';
import { withCompileCache } from './compile-cache.ts';
import { LOOPBACK } from './placement.ts';
import type { Placer } from './placement.ts';
import type { PortBook } from './ports.ts';
import type { ServiceSpec } from './supervise.ts';

export interface ClusterPlan {
  readonly home: string;
  readonly clusterId: string;
  readonly brokerCount: number;
  readonly coordinatorCount: number;
  readonly gatewayCount: number;
  readonly consumerGroupCount: number;
  /** `redis://…`, or `embedded`. */
  readonly redisUrl: string;
  readonly logLevel: string;
  /** Path of a configuration file for the brokers. */
  readonly brokerConfig: string | undefined;
  /** True = a console that keeps traces, and services that send them there. */
  readonly traces: boolean;
  /** True = each service has an endpoint for Prometheus. */
  readonly metrics: boolean;
  /** Where each process runs. */
  readonly place: Placer;
}

/** What a broker needs of the plan. */
export type BrokerPlan = Pick<ClusterPlan, 'home' | 'clusterId' | 'brokerConfig' | 'metrics' | 'logLevel' | 'place'>;

export interface PlannedService extends ServiceSpec {
  readonly address: string;
  readonly peerAddress: string | undefined;
  /** Short name of what it is: `broker`. */
  readonly service: string;
  /** Where Prometheus gets /metrics; undefined = nowhere. */
  readonly metricsAddress: string | undefined;
}

export interface PlannedBroker extends PlannedService {
  readonly id: number;
  readonly dataDir: string;
}

export interface PlannedCluster {
  readonly coordinators: readonly PlannedService[];
  readonly brokers: readonly PlannedBroker[];
  readonly gateways: readonly PlannedService[];
  readonly consumerGroups: readonly PlannedService[];
  readonly console: PlannedService | undefined;
}

const ROOT = resolve(import.meta.dirname, '../..');
const THREAD_POOL_SIZE = '32';
/**
 * V8 collects the young objects when their buffers make up twice of this: with its own 32 MiB, batches that were still on
 * their way then are moved to the old space, where only marking the whole heap frees them. Saves a broker a third of its
 * CPU time, a group service of batches a fifth. Read by V8 at the start alone.
 */
const SMALL_NEW_SPACE = '--max-semi-space-size=2';
const SERVICES_OF_BATCHES = new Set(['broker', 'consumer-group']);

/** Chooses ports and arguments. The addresses of the coordinators are known before anything runs. */
export async function planCluster(plan: ClusterPlan, ports: PortBook): Promise<PlannedCluster> {
  const { clusterId, redisUrl } = plan;
  const traces = plan.traces ? await traceConsole(plan, ports) : undefined;
  const env = { ...serviceEnvironment(), ...(traces === undefined ? {} : exportTo(traces.address)) };
  const coordinators: PlannedService[] = [];
  for (let index = 1; index <= plan.coordinatorCount; index += 1) {
    const brokers = String(plan.brokerCount);
    const args = ['--cluster-id', clusterId, '--redis-url', redisUrl, '--expected-brokers', brokers];
    const name = `coordinator-${index}`;
    coordinators.push(await service(plan, ports, { name, app: 'coordinator', peer: true, args, env }));
  }
  const peers = ['--coordinators', coordinators.map((coordinator) => coordinator.peerAddress).join(',')];
  const brokers: PlannedBroker[] = [];
  for (let id = 1; id <= plan.brokerCount; id += 1) brokers.push(await broker(plan, ports, { id, peers, env }));
  const instances = async (name: string, app: string, count: number): Promise<PlannedService[]> => {
    const planned: PlannedService[] = [];
    for (let index = 1; index <= count; index += 1) {
      const parts = { name: index === 1 ? name : `${name}-${index}`, app, peer: false, args: peers, env };
      planned.push(await service(plan, ports, parts));
    }
    return planned;
  };
  const gateways = await instances('gateway', 'producer-gateway', plan.gatewayCount);
  const consumerGroups = await instances('consumer-group', 'consumer-group', plan.consumerGroupCount);
  await ports.save();
  return { coordinators, brokers, gateways, consumerGroups, console: traces };
}

/** One more broker for a cluster that runs; `coordinatorPeers` are where its coordinators listen for brokers. */
export async function planJoiningBroker(
  plan: BrokerPlan,
  ports: PortBook,
  { id, coordinatorPeers }: { readonly id: number; readonly coordinatorPeers: readonly string[] },
): Promise<PlannedBroker> {
  const peers = ['--coordinators', coordinatorPeers.join(',')];
  const planned = await broker(plan, ports, { id, peers, env: serviceEnvironment() });
  await ports.save();
  return planned;
}

async function broker(
  plan: BrokerPlan,
  ports: PortBook,
  { id, peers, env }: { readonly id: number; readonly peers: readonly string[]; readonly env: NodeJS.ProcessEnv },
): Promise<PlannedBroker> {
  const name = `broker-${id}`;
  const dataDir = join(plan.home, name);
  const config = plan.brokerConfig === undefined ? [] : ['--config', plan.brokerConfig];
  const args = ['--id', String(id), '--data-dir', dataDir, '--cluster-id', plan.clusterId, ...peers, ...config];
  return { ...(await service(plan, ports, { name, app: 'broker', peer: true, args, env })), id, dataDir };
}

/** Its own spans go nowhere. */
function traceConsole(plan: ClusterPlan, ports: PortBook): Promise<PlannedService> {
  const args = ['--traces-dir', join(plan.home, 'traces')];
  return service(plan, ports, { name: 'console', app: 'console', peer: false, args, env: serviceEnvironment() });
}

/**
 * Spans of a service go to the console, and only of traces that a client has begun: without one there is none to record.
 * What the user's environment says of samplers counts.
 */
function exportTo(address: string): NodeJS.ProcessEnv {
  return {
    // Spans wait for this long before they are sent; 5 s by themselves, but who traces wants to look at once.
    OTEL_BSP_SCHEDULE_DELAY: process.env['OTEL_BSP_SCHEDULE_DELAY'] || '500',
    OTEL_TRACES_SAMPLER: process.env['OTEL_TRACES_SAMPLER'] || 'parentbased_always_off',
    // Of traces alone: the console takes no metrics.
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://${address}`,
  };
}

interface ServiceParts {
  /** `broker-1`. */
  readonly name: string;
  /** Folder below apps/. */
  readonly app: string;
  /** True = has a listener for peers too. */
  readonly peer: boolean;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

async function service(
  plan: Pick<ClusterPlan, 'metrics' | 'logLevel' | 'place'>,
  ports: PortBook,
  parts: ServiceParts,
): Promise<PlannedService> {
  const { name, app, peer, args, env } = parts;
  const { host, wrap, env: placed } = plan.place(name);
  const address = await ports.address(name, host);
  const peerAddress = peer ? await ports.address(`${name}-peer`, host) : undefined;
  const metricsAddress = plan.metrics ? await ports.address(`${name}-metrics`, host) : undefined;
  const listen = [
    ...(host === LOOPBACK ? [] : ['--insecure']),
    ...['--listen', address],
    ...(peerAddress === undefined ? [] : ['--peer-listen', peerAddress]),
    ...(metricsAddress === undefined ? [] : ['--metrics-listen', metricsAddress]),
  ];
  return {
    name,
    entry: join(ROOT, 'apps', app, 'src', 'main.ts'),
    args: [...listen, ...args, '--log-level', plan.logLevel],
    env: { ...env, ...placed },
    wrap,
    nodeArgs: SERVICES_OF_BATCHES.has(app) ? [SMALL_NEW_SPACE] : [],
    address,
    peerAddress,
    service: app,
    metricsAddress,
  };
}

/** The launcher's environment without the settings that are meant for the launcher; OTEL_* goes through. */
function serviceEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('PARTITA_') && name !== 'REDIS_URL',
  );
  return withCompileCache({ ...Object.fromEntries(inherited), UV_THREADPOOL_SIZE: THREAD_POOL_SIZE });
}
