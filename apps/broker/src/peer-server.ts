/** The listener for coordinators and other brokers. */
import {
  ElectionServiceService,
  ProcessServiceService,
  ReplicaServiceService,
  ReplicationServiceService,
} from '@partita/protocol';
import { createRpcServer, processMethods } from '@partita/rpc/server';
import type { RpcServer } from '@partita/rpc/server';
import { formatAddress } from '@partita/runtime';
import type { BrokerOptions } from './broker.ts';
import { electionMethods } from './election-service.ts';
import type { ElectionOptions } from './election-service.ts';
import { replicaMethods } from './replica-service.ts';
import type { ReplicaStore } from './replica-store.ts';
import type { FollowerStreamOptions } from './replication/follower-stream.ts';
import { replicationMethods } from './replication/replication-service.ts';

type PeerServerParts = Omit<ElectionOptions, 'deleted'> & FollowerStreamOptions & { readonly store: ReplicaStore };

export function peerServer(options: BrokerOptions, parts: PeerServerParts): RpcServer {
  const { config, logger, tracing, metrics } = options;
  const server = createRpcServer({
    name: 'broker-peer',
    listen: formatAddress(config.peerListen),
    limits: 'peer',
    logger,
    tracing,
    metrics,
    insecureOk: config.insecure,
  });
  server.addService(ElectionServiceService, electionMethods({ ...parts, deleted: parts.store }));
  server.addService(ProcessServiceService, processMethods(logger, 'peer'));
  server.addService(ReplicaServiceService, replicaMethods(parts));
  server.addService(ReplicationServiceService, replicationMethods(parts));
  return server;
}
