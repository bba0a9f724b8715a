/** Wires a producer-gateway: routes from any listener of the cluster, a session with the coordinators, one public listener. */
import { LeaderAppender, RouteCache } from '@partita/client';
import { GATEWAY_CLIENT_ID, GATEWAY_EXPIRY_MS } from '@partita/domain';
import { ClusterServiceService, ProcessServiceService, ProducerServiceService, ServiceKind } from '@partita/protocol';
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
  systemTimers,
} from '@partita/runtime';
import type { ConfigOf, ProcessLogger, RunningService } from '@partita/runtime';
import type { Metrics } from '@partita/telemetry';
import { BatchAppend } from './batch-append.ts';
import type { GATEWAY_CONFIG } from './config.ts';
import { GatewayMeter } from './gateway-meter.ts';
import { GatewayQuotas } from './gateway-quotas.ts';
import type { InFlightLimits } from './in-flight.ts';
import { InFlight } from './in-flight.ts';
import { producerMethods } from './producer-service.ts';
import { RecordAppend } from './record-append.ts';

const DRAIN_GRACE_MS = 20_000;

export interface GatewayOptions {
  readonly config: ConfigOf<typeof GATEWAY_CONFIG>;
  readonly logger: ProcessLogger;
  readonly tracing: TracingMode;
  readonly metrics: Metrics;
  /** Id of this run, a lower-case UUID. */
  readonly instanceId: string;
  /** Ends the process: the cluster refuses it. */
  readonly fail: (error: unknown) => void;
}

export async function startGateway(options: GatewayOptions): Promise<RunningService> {
  const { config, logger, tracing, metrics } = options;
  const pool = new ChannelPool({ clientId: GATEWAY_CLIENT_ID, tracing });
  const coordinators = config.coordinators.map(formatAddress);
  const routes = new RouteCache({ seeds: coordinators, pool });
  const meter = new GatewayMeter(metrics);
  const appender = new LeaderAppender(routes, pool, {
    onRetry: (reason) => meter.triedAgain(reason),
    // Its clients repeat what it gives up, each with a budget of its own.
    whenSpent: 'fail',
  });
  const inFlight = new InFlight((by) => meter.shed(by), limitsOf(config));
  const quotas = new GatewayQuotas({ routes, clock: systemClock, timers: systemTimers, meter: meter.throttle });
  const { gate } = quotas;
  metrics.observe('partita.gateway.queue.bytes', (report) => report(inFlight.bytes));
  const records = new RecordAppend({ routes, appender, inFlight, meter, gate, isMerging: config.merge === 'on' });
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
    metrics,
    insecureOk: config.insecure,
  });
  const about = { service: ServiceKind.SERVICE_KIND_GATEWAY, version: PRODUCT_VERSION, clock: systemClock };
  server.addService(ClusterServiceService, implement(ClusterServiceService, directoryMethods(directory, about)));
  server.addService(ProcessServiceService, processMethods(logger, 'public'));
  server.addService(
    ProducerServiceService,
    producerMethods({ records, batches: new BatchAppend({ routes, appender, inFlight, gate }), meter, tracing }),
  );
  const expiry = setInterval(() => {
    const nowMs = performance.now();
    records.expire(nowMs);
    appender.expire(nowMs);
  }, GATEWAY_EXPIRY_MS);
  const { address } = await server.start();
  const advertised = config.advertise === undefined ? address : formatAddress(config.advertise);

  const sessions = register(options, { pool, coordinators, advertised, directory, quotas });

  return {
    ready: { address: advertised },
    drain: async () => {
      sessions.drain();
      await server.drain(DRAIN_GRACE_MS);
    },
    close: async () => {
      sessions.close();
      clearInterval(expiry);
      routes.close();
      appender.close();
      server.close();
      pool.close();
    },
  };
}

function limitsOf(config: GatewayOptions['config']): InFlightLimits {
  return {
    total: config.bytesInFlightMax,
    client: config.clientBytesInFlightMax,
    connection: config.connectionBytesInFlightMax,
    leader: config.leaderBytesInFlightMax,
  };
}

interface Registration {
  readonly pool: ChannelPool;
  readonly coordinators: readonly string[];
  readonly advertised: string;
  readonly directory: DirectoryHolder;
  readonly quotas: GatewayQuotas;
}

/** Makes the gateway known to every coordinator, for as long as it runs. */
function register(
  { instanceId, logger, fail }: GatewayOptions,
  { pool, coordinators, advertised, directory, quotas }: Registration,
): InstanceSessions {
  const repeated = createRepeatedLog(logger, systemClock);
  return keepInstanceSessions({
    pool,
    random: systemRandom,
    coordinators,
    clusterId: '',
    instance: {
      service: ServiceKind.SERVICE_KIND_GATEWAY,
      instanceId,
      address: advertised,
      version: PRODUCT_VERSION,
    },
    onAccepted: ({ clusterId, coordinatorRunId }) => {
      directory.update({ clusterId });
      logger.info({ clusterId, coordinatorRunId }, 'registered with a coordinator');
    },
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
