/** The process of the proxies: apart, so that their work is not that of a load. Its arguments name the services behind. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DelayingProxy } from './delaying-proxy.ts';
import type { ProxyOrder } from './proxy-messages.ts';

const names = process.argv.slice(2);
let home: string | undefined;
const proxies = await Promise.all(names.map((name) => DelayingProxy.start(() => portOf(name))));

process.on('message', (order: ProxyOrder) => {
  if (order.kind === 'home') home = order.home;
  else for (const proxy of proxies) proxy.delayMs = order.delayMs;
  process.send?.({ done: true });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ addresses: Object.fromEntries(names.map((name, index) => [name, proxies[index]?.address])) });

/** The launcher writes them down before it starts anything. */
function portOf(name: string): number {
  if (home === undefined) throw new Error('no cluster yet');
  const ports = JSON.parse(readFileSync(join(home, 'ports.json'), 'utf8')) as Readonly<Record<string, number>>;
  const port = ports[name];
  if (port === undefined) throw new Error(`the cluster has no ${name}`);
  return port;
}
