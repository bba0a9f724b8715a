/** Wires a producer-gateway: routes from any listener of the cluster, a session with the coordinators, one public listener. */
import { LeaderAppender, RouteCache } from '@partita/client';
import { ClusterServiceService, ProducerServiceService, ServiceKind } from '@partita/protocol';
import { ChannelPool, keepInstanceSessions } from '@partita/rpc/client';
import { createRpcServer, DirectoryHolder, directoryMethods, implement } from '@partita/rpc/server';
import { createRepeatedLog, formatAddress, PRODUCT_VERSION, systemClock, systemRandom } from '@partita/runtime';
import type { ConfigOf, Logger, RunningService } from '@partita/runtime';
import { BatchAppend } from './batch-append.ts';
import type { GATEWAY_CONFIG } from './config.ts';
import { producerMethods } from './producer-service.ts';
import { RecordAppend } from './record-append.ts';

const DRAIN_GRACE_MS = 20_000;

export interface GatewayOptions {
  readonly config: ConfigOf<typeof GATEWAY_CONFIG>;
  readonly logger: Logger;
  readonly tracing: boolean;
  /** Id of this run, a lower-case UUID. */
  readonly instanceId: string;
}

export async function startGateway({ config, logger, tracing, instanceId }: GatewayOptions): Promise<RunningService> {
  const pool = new ChannelPool({ tracing });
  const coordinators = config.coordinators.map(formatAddress);
  const routes = new RouteCache({ seeds: coordinators, pool });
  const appender = new LeaderAppender(routes, pool);
  const directory = new DirectoryHolder(systemClock);
  routes.onChange(() => {
    const { brokers, endpoints } = routes.table;
    directory.update({ brokers, endpoints, routes: routes.table.topics() });
  });
  routes.start();

  const server = createRpcServer({
    name: 'gateway-public',
    listen: formatAddress(config.listen),
    limits: 'public',
    logger,
    tracing,
    insecureOk: config.insecure,
  });
  const about = { service: ServiceKind.SERVICE_KIND_GATEWAY, version: PRODUCT_VERSION, clock: systemClock };
  server.addService(ClusterServiceService, implement(ClusterServiceService, directoryMethods(directory, about)));
  server.addService(
    ProducerServiceService,
    producerMethods(new RecordAppend(routes, appender), new BatchAppend(routes, appender)),
  );
  const { address } = await server.start();
  const advertised = config.advertise === undefined ? address : formatAddress(config.advertise);

  let draining = false;
  const endSessions = register({
    pool,
    coordinators,
    advertised,
    instanceId,
    logger,
    directory,
    draining: () => draining,
  });

  return {
    ready: { address: advertised },
    drain: async () => {
      draining = true;
      await server.drain(DRAIN_GRACE_MS);
    },
    close: async () => {
      endSessions();
      routes.close();
      appender.close();
      server.close();
      pool.close();
    },
  };
}

interface Registration {
  readonly pool: ChannelPool;
  readonly coordinators: readonly string[];
  readonly advertised: string;
  readonly instanceId: string;
  readonly logger: Logger;
  readonly directory: DirectoryHolder;
  readonly draining: () => boolean;
}

/** Makes the gateway known to every coordinator, for as long as it runs; the answer ends that. */
function register({
  pool,
  coordinators,
  advertised,
  instanceId,
  logger,
  directory,
  draining,
}: Registration): () => void {
  const repeated = createRepeatedLog(logger, systemClock);
  return keepInstanceSessions({
    pool,
    random: systemRandom,
    coordinators,
    register: {
      clusterId: '',
      protocolVersion: 1,
      service: ServiceKind.SERVICE_KIND_GATEWAY,
      instanceId,
      address: advertised,
      version: PRODUCT_VERSION,
      peerAddress: '',
    },
    heartbeat: () => ({ draining: draining(), ownedShards: [] }),
    onAccepted: ({ clusterId, coordinatorRunId }) => {
      directory.update({ clusterId });
      logger.info({ clusterId, coordinatorRunId }, 'registered with a coordinator');
    },
    onBroken: (coordinator, error) => {
      const text = 'no session with a coordinator; trying again';
      repeated.warn(`session ${coordinator}`, { coordinator, reason: error?.reason }, text);
    },
  });
}
