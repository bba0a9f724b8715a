/** The consumer-group service of one process: its parts, put together, and the order in which they stop. */
import { RouteCache } from '@partita/client';
import type { PartitaError } from '@partita/domain';
import { ClusterServiceService, GroupServiceService, ServiceKind } from '@partita/protocol';
import type { ShardAssignment } from '@partita/protocol';
import { ChannelPool } from '@partita/rpc/client';
import { createRpcServer, DirectoryHolder, directoryMethods, implement } from '@partita/rpc/server';
import { EXIT_CODES, ExitError, formatAddress, PRODUCT_VERSION, systemClock } from '@partita/runtime';
import type { Logger, RunningService } from '@partita/runtime';
import type { ConsumerGroupConfig } from './config.ts';
import { consumerGroupService } from './consumer-group-service.ts';
import { GroupShards } from './group-shards.ts';
import { InstanceSession } from './instance-session.ts';
import { LeaderCalls } from './leader-calls.ts';

export interface ConsumerGroupOptions {
  readonly config: ConsumerGroupConfig;
  /** Id of this run. */
  readonly instanceId: string;
  readonly logger: Logger;
  readonly tracing: boolean;
  /** Ends the process: the cluster refuses it. */
  fail(error: unknown): void;
}

/** Streams get to their end within this; what is left is cut. */
const DRAIN_MS = 10_000;

/** Starts to listen and to look for the coordinators. Resolves when it listens; groups are served as soon as told. */
export async function startConsumerGroup(options: ConsumerGroupOptions): Promise<RunningService> {
  const { config, instanceId, logger, tracing } = options;
  const coordinators = config.coordinators.map(formatAddress);
  const pool = new ChannelPool({ clientId: 'partita-consumer-group', tracing });
  const routes = new RouteCache({ seeds: coordinators, pool });
  const directory = new DirectoryHolder(systemClock);
  if (config.clusterId !== undefined) directory.update({ clusterId: config.clusterId });
  followRoutes(routes, directory);
  const calls = new LeaderCalls(routes, pool);
  const shards = new GroupShards({ routes, calls, instanceId, logger });
  const server = createRpcServer({
    name: 'consumer-group-public',
    listen: formatAddress(config.listen),
    limits: 'public',
    logger,
    tracing,
    insecureOk: config.insecure,
  });
  // The port may be chosen by the system: what tells the address is made before it is known.
  const services = { shards, routes, calls, pool, logger, tracing, address: '' };
  server.addService(GroupServiceService, consumerGroupService(services));
  const about = { service: ServiceKind.SERVICE_KIND_CONSUMER_GROUP, version: PRODUCT_VERSION, clock: systemClock };
  server.addService(ClusterServiceService, implement(ClusterServiceService, directoryMethods(directory, about)));
  const { address: listening } = await server.start();
  const address = config.advertise === undefined ? listening : formatAddress(config.advertise);
  services.address = address;
  routes.start();
  const sessionOptions = {
    pool,
    instanceId,
    clusterId: config.clusterId ?? '',
    address,
    version: PRODUCT_VERSION,
    logger,
    ownedShards: () => shards.ownedShards(),
    onAccepted: (clusterId: string) => directory.update({ clusterId }),
    onShards: (assignment: ShardAssignment) => shards.assign(assignment),
    onRefused: ({ message }: PartitaError) => {
      options.fail(new ExitError(EXIT_CODES.refused, `the cluster refuses this instance: ${message}`));
    },
  };
  const sessions = coordinators.map((coordinator) => new InstanceSession({ ...sessionOptions, coordinator }));
  for (const session of sessions) session.start();
  return {
    ready: { address, instanceId },
    drain: async () => {
      for (const session of sessions) session.drain();
      await server.drain(DRAIN_MS);
    },
    close: async () => {
      server.close();
      shards.close();
      for (const session of sessions) session.close();
      routes.close();
      pool.close();
    },
  };
}

function followRoutes(routes: RouteCache, directory: DirectoryHolder): void {
  routes.onChange(() => {
    const { table } = routes;
    directory.update({ routes: table.topics(), brokers: table.brokers, endpoints: table.endpoints });
  });
}
