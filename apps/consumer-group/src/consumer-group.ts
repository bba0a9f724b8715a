/** The consumer-group service of one process: its parts, put together, and the order in which they stop. */
import { pause, RouteCache } from '@partita/client';
import { CONSUMER_GROUP_CLIENT_ID } from '@partita/domain';
import { ClusterServiceService, GroupServiceService, ProcessServiceService, ServiceKind } from '@partita/protocol';
import type { TracingMode } from '@partita/rpc';
import { ChannelPool, keepInstanceSessions } from '@partita/rpc/client';
import type { InstanceSessions } from '@partita/rpc/client';
import { createRpcServer, DirectoryHolder, directoryMethods, implement, processMethods } from '@partita/rpc/server';
import {
  createRepeatedLog,
  EXIT_CODES,
  ExitError,
  formatAddress,
  PRODUCT_VERSION,
  systemClock,
  systemRandom,
} from '@partita/runtime';
import type { ProcessLogger, RunningService } from '@partita/runtime';
import type { Metrics } from '@partita/telemetry';
import type { ConsumerGroupConfig } from './config.ts';
import { consumerGroupService } from './consumer-group-service.ts';
import { GroupMeter } from './group-meter.ts';
import { GroupShards } from './group-shards.ts';
import { LagWatch } from './lag-watch.ts';
import type { LagWatchOptions } from './lag-watch.ts';
import { LeaderCalls } from './leader-calls.ts';
import { MemberQuotas } from './member-quotas.ts';
import { observeGroups } from './observe-groups.ts';
import type { OpenFeeds } from './open-feeds.ts';
import { OffsetExpiry, topicAsker } from './offset-expiry.ts';

export interface ConsumerGroupOptions {
  readonly config: ConsumerGroupConfig;
  /** Id of this run. */
  readonly instanceId: string;
  readonly logger: ProcessLogger;
  readonly tracing: TracingMode;
  readonly metrics: Metrics;
  /** Ends the process: the cluster refuses it. */
  readonly fail: (error: unknown) => void;
}

/** Streams get to their end within this; what is left is cut. */
const DRAIN_MS = 10_000;
/** What members get for their last commits before the groups go to other instances, and what those may take for it. */
const LAST_COMMIT_MS = 500;
const HAND_OVER_MS = 3000;

/** Starts to listen and to look for the coordinators. Resolves when it listens; groups are served as soon as told. */
export async function startConsumerGroup(options: ConsumerGroupOptions): Promise<RunningService> {
  const { config, instanceId, logger, tracing, metrics } = options;
  const coordinators = config.coordinators.map(formatAddress);
  const pool = new ChannelPool({ clientId: CONSUMER_GROUP_CLIENT_ID, tracing });
  const routes = new RouteCache({ seeds: coordinators, pool });
  const directory = new DirectoryHolder(systemClock);
  if (config.clusterId !== undefined) directory.update({ clusterId: config.clusterId });
  followRoutes(routes, directory);
  const calls = new LeaderCalls(routes, pool);
  const meter = new GroupMeter(metrics);
  const quotas = new MemberQuotas(routes, systemClock, metrics);
  const shards = new GroupShards({ routes, calls, instanceId, logger, meter, tracing });
  const server = createRpcServer({
    name: 'consumer-group-public',
    listen: formatAddress(config.listen),
    limits: 'public',
    logger,
    tracing,
    metrics,
    insecureOk: config.insecure,
  });
  // The port may be chosen by the system: what tells the address is made before it is known.
  const shared = { shards, routes, calls, pool, logger, meter, brake: quotas.brake };
  const services = { ...shared, tracing: tracing !== 'off', address: '' };
  server.addService(GroupServiceService, consumerGroupService(services));
  server.addService(ProcessServiceService, processMethods(logger, 'public'));
  const about = { service: ServiceKind.SERVICE_KIND_CONSUMER_GROUP, version: PRODUCT_VERSION, clock: systemClock };
  server.addService(ClusterServiceService, implement(ClusterServiceService, directoryMethods(directory, about)));
  const { address: listening } = await server.start();
  const address = config.advertise === undefined ? listening : formatAddress(config.advertise);
  services.address = address;
  routes.start();
  const topic = topicAsker(routes, pool);
  const expiry = new OffsetExpiry({ shards, routes, topic, logger, wallMs: () => systemClock.wallMs() });
  expiry.start();
  const lag = observed(metrics, { shards, routes, calls, feeds: meter.feeds, logger });
  const sessions = register(options, { pool, coordinators, address, directory, shards, quotas });
  return {
    ready: { address, instanceId },
    drain: async () => {
      const drained = server.drain(DRAIN_MS);
      // Members commit what they have done first; then others may take the groups over.
      await Promise.race([drained, pause(LAST_COMMIT_MS)]);
      sessions.drain();
      await Promise.all([drained, shards.handedOver(HAND_OVER_MS)]);
    },
    close: async () => {
      server.close();
      expiry.close();
      lag.close();
      shards.close();
      sessions.close();
      routes.close();
      pool.close();
    },
  };
}

/** Begins to know the lag of groups, where somebody reads it. */
function observed(
  metrics: Metrics,
  parts: LagWatchOptions & { readonly shards: GroupShards; readonly feeds: OpenFeeds },
): LagWatch {
  const lag = new LagWatch(parts);
  if (!metrics.isOn) return lag;
  observeGroups(metrics, { shards: parts.shards, feeds: parts.feeds, lag, wallMs: () => systemClock.wallMs() });
  lag.start();
  return lag;
}

interface Registration {
  readonly pool: ChannelPool;
  readonly coordinators: readonly string[];
  /** Public address of this instance. */
  readonly address: string;
  readonly directory: DirectoryHolder;
  readonly shards: GroupShards;
  readonly quotas: MemberQuotas;
}

/** Makes the instance known to every coordinator, for as long as it runs, and hears which shards it shall own. */
function register(
  { config, instanceId, logger, fail }: ConsumerGroupOptions,
  { pool, coordinators, address, directory, shards, quotas }: Registration,
): InstanceSessions {
  const repeated = createRepeatedLog(logger, systemClock);
  return keepInstanceSessions({
    pool,
    random: systemRandom,
    coordinators,
    clusterId: config.clusterId ?? '',
    instance: { service: ServiceKind.SERVICE_KIND_CONSUMER_GROUP, instanceId, address, version: PRODUCT_VERSION },
    ownedShards: () => shards.ownedShards(),
    onAccepted: ({ clusterId }) => directory.update({ clusterId }),
    onShards: (assignment) => shards.assign(assignment),
    onQuotas: (told) => quotas.hear(told),
    onRefused: ({ message }) => {
      fail(new ExitError(EXIT_CODES.refused, `the cluster refuses this instance: ${message}`));
    },
    onBroken: (coordinator, error) => {
      const text = 'no session with a coordinator; trying again';
      repeated.warn(`session ${coordinator}`, { coordinator, reason: error?.reason }, text);
    },
  });
}

function followRoutes(routes: RouteCache, directory: DirectoryHolder): void {
  routes.onChange(() => {
    const { table } = routes;
    directory.update({ routes: table.topics(), brokers: table.brokers, endpoints: table.endpoints });
  });
}
