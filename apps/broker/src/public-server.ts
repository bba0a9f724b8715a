/** The listener for clients, gateways and consumer-group instances. */
import { BrokerServiceService, ClusterServiceService, ProcessServiceService, ServiceKind } from '@partita/protocol';
import { createRpcServer, directoryMethods, processMethods } from '@partita/rpc/server';
import type { DirectoryHolder, RpcServer } from '@partita/rpc/server';
import { formatAddress, PRODUCT_VERSION } from '@partita/runtime';
import type { BrokerOptions } from './broker.ts';
import { brokerMethods } from './broker-service/broker-service.ts';

type PublicServerParts = Parameters<typeof brokerMethods>[0] & { readonly directory: DirectoryHolder };

export function publicServer(options: BrokerOptions, parts: PublicServerParts): RpcServer {
  const { config, logger, tracing, metrics } = options;
  const server = createRpcServer({
    name: 'broker-public',
    listen: formatAddress(config.listen),
    limits: 'public',
    logger,
    tracing,
    metrics,
    insecureOk: config.insecure,
  });
  server.addService(BrokerServiceService, brokerMethods(parts));
  server.addService(ProcessServiceService, processMethods(logger, 'public'));
  const self = { service: ServiceKind.SERVICE_KIND_BROKER, version: PRODUCT_VERSION, clock: parts.clock };
  server.addService(ClusterServiceService, directoryMethods(parts.directory, self));
  return server;
}
