/** Real gRPC servers on loopback for specs, each one service of a small cluster. `afterEach(closeAll)` ends them. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { ClusterServiceService, GetClusterResponse, GetRoutesResponse, ServiceKind } from '@partita/protocol';
import type { Broker, TopicRoute } from '@partita/protocol';
import { ChannelPool } from '@partita/rpc/client';
import { createRpcServer, implement, unary } from '@partita/rpc/server';
import type { Implementation, RpcServer } from '@partita/rpc/server';

const closers: (() => void | Promise<void>)[] = [];

export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/** Ends something with the spec. */
export function closeLater(close: () => void | Promise<void>): void {
  closers.push(close);
}

export function newPool(): ChannelPool {
  const pool = new ChannelPool();
  closeLater(() => pool.close());
  return pool;
}

interface Part {
  addTo(server: RpcServer): void;
}

/** A service of a server to be started. */
export function part<const D extends ServiceDefinition>(definition: D, implementation: Implementation<D>): Part {
  return { addTo: (server) => server.addService(definition, implementation) };
}

export interface Listening {
  readonly address: string;
  readonly server: RpcServer;
}

/** Starts a server with the services; `listen` to come back at a known address. */
export async function listen(parts: readonly Part[], listenAt = '127.0.0.1:0'): Promise<Listening> {
  const nothing = (): void => {};
  const server = createRpcServer({
    name: 'spec',
    listen: listenAt,
    limits: 'public',
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    tracing: 'off',
  });
  for (const one of parts) one.addTo(server);
  closeLater(() => server.close());
  const { address } = await server.start();
  return { address, server };
}

/** The directory that every server of a cluster answers from; fill `endpoints` once addresses are known. */
export class SpecDirectory {
  readonly endpoints: { service: ServiceKind; address: string; active?: boolean }[] = [];
  routes: TopicRoute[] = [];
  brokers: Broker[] = [];

  add(service: ServiceKind, address: string, active = false): void {
    this.endpoints.push({ service, address, active });
  }

  get part(): Part {
    const methods = implement(ClusterServiceService, {
      getCluster: unary(() => GetClusterResponse.fromPartial({ clusterId: 'spec', endpoints: this.endpoints })),
      getRoutes: unary(({ topics }) =>
        GetRoutesResponse.fromPartial({
          routes: this.routes.filter((route) => topics.includes(route.topic)),
          brokers: this.brokers,
        }),
      ),
    });
    return part(ClusterServiceService, methods);
  }
}

/** Waits until `condition` holds; fails after 5 s. */
export async function until(condition: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 5000; !condition();) {
    if (performance.now() > endMs) throw new Error('the condition did not come true within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
