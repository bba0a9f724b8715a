/** Servers and clients on loopback for specs; `afterEach(closeAll)` ends what was made. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { ChannelPool } from './client/channel-pool.ts';
import type { ChannelOptions } from './client/channel-pool.ts';
import { createRpcServer } from './server/grpc-server.ts';
import type { RpcServer, RpcServerOptions } from './server/grpc-server.ts';
import type { Implementation } from './server/methods.ts';
import type { RpcLogger } from './server/server-core.ts';

const closers: (() => void)[] = [];

export function closeAll(): void {
  for (const close of closers.splice(0)) close();
}

export interface LogLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export function listLogger(lines: LogLine[]): RpcLogger {
  const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) =>
    void lines.push({ level, fields, message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export interface Serving {
  readonly server: RpcServer;
  readonly address: string;
  readonly lines: LogLine[];
}

export async function serve<const D extends ServiceDefinition>(
  definition: D,
  implementation: Implementation<D>,
  options: Partial<RpcServerOptions> = {},
): Promise<Serving> {
  const lines: LogLine[] = [];
  const server = createRpcServer({
    name: 'spec',
    listen: '127.0.0.1:0',
    limits: 'public',
    logger: listLogger(lines),
    tracing: 'off',
    ...options,
  });
  server.addService(definition, implementation);
  closers.push(() => server.close());
  const { address } = await server.start();
  return { server, address, lines };
}

export function pool(options: ChannelOptions = {}): ChannelPool {
  const made = new ChannelPool(options);
  closers.push(() => made.close());
  return made;
}
