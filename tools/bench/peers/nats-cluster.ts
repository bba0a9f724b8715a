/** Three servers of NATS with JetStream on loopback, with their data in a folder of the bench. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freeLoopbackPort } from '@partita/tool-dev/redis-server.ts';
import { BROKER_COUNT } from '../workload.ts';
import { PeerCluster, ServerProcess } from './server-process.ts';

/** When JetStream syncs its files: each write, or as it does when nothing is said (every two minutes). */
export type SyncInterval = 'always' | 'default';

export interface NatsNode {
  readonly name: string;
  readonly port: number;
  readonly routePort: number;
}

/** Everything that is not named here is the default of NATS. */
export function natsConfig(
  node: NatsNode,
  nodes: readonly NatsNode[],
  { dataDir, sync }: { readonly dataDir: string; readonly sync: SyncInterval },
): string {
  const routes = nodes.map(({ routePort }) => `"nats://127.0.0.1:${routePort}"`).join(', ');
  return `server_name: "${node.name}"
listen: "127.0.0.1:${node.port}"
jetstream {
  store_dir: ${JSON.stringify(dataDir)}
${sync === 'always' ? '  sync_interval: always\n' : ''}}
cluster {
  name: "bench"
  listen: "127.0.0.1:${node.routePort}"
  routes: [${routes}]
}
`;
}

/** Returns when they are started, not when they have found each other: the load waits for that. */
export async function startNats(program: string, folder: string, sync: SyncInterval): Promise<PeerCluster> {
  const nodes = await Promise.all(
    Array.from({ length: BROKER_COUNT }, async (_, index) => ({
      name: `nats-${index + 1}`,
      port: await freeLoopbackPort(),
      routePort: await freeLoopbackPort(),
    })),
  );
  const servers = nodes.map((node) => {
    const home = join(folder, `${node.name}-${sync}`);
    mkdirSync(home);
    const file = join(home, 'nats.conf');
    writeFileSync(file, natsConfig(node, nodes, { dataDir: join(home, 'data'), sync }));
    return ServerProcess.start(program, ['-c', file], `${file}.log`);
  });
  return new PeerCluster(
    nodes.map(({ port }) => `nats://127.0.0.1:${port}`),
    servers,
  );
}
