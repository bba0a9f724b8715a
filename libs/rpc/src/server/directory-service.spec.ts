import type { Clock } from '@partita/domain';
import { Broker, ClusterServiceService, ServiceEndpoint, ServiceKind, TopicRoute } from '@partita/protocol';
import type { WatchRoutesResponse } from '@partita/protocol';
import { afterEach, expect, test } from 'vitest';
import { callUnary } from '../client/call.ts';
import { openServerStream } from '../client/client-stream.ts';
import { closeAll, pool, serve } from '../loopback.fixture.ts';
import { DirectoryHolder } from './directory.ts';
import type { DirectoryChange } from './directory.ts';
import { directoryMethods } from './directory-service.ts';
import { implement } from './methods.ts';
import { watchRoutes } from './route-watch.ts';

afterEach(closeAll);

const clock: Clock & { nowMs: number } = { nowMs: 1000, wallMs: () => 0, monotonicMs: () => clock.nowMs };
const route = (name: string, version = 1n): TopicRoute =>
  TopicRoute.fromPartial({ topic: name, topicId: `id-${name}`, version });
const broker = Broker.fromPartial({ brokerId: 1, address: '127.0.0.1:1' });
const endpoint = ServiceEndpoint.fromPartial({ service: ServiceKind.SERVICE_KIND_BROKER, address: '127.0.0.1:1' });

async function serveDirectory() {
  const holder = new DirectoryHolder(clock);
  holder.update({ clusterId: 'c-1', brokers: [broker], endpoints: [endpoint], routes: [route('a'), route('b')] });
  const options = { service: ServiceKind.SERVICE_KIND_GATEWAY, version: '0.1.0', clock };
  const methods = implement(ClusterServiceService, { ...directoryMethods(holder, options) });
  const { address } = await serve(ClusterServiceService, methods);
  return { holder, client: pool().client(address) };
}

test('GetCluster tells endpoints, limits and how old its knowledge is', async () => {
  const { client } = await serveDirectory();
  clock.nowMs += 250;
  const cluster = await callUnary(client, ClusterServiceService.getCluster, {});
  expect(cluster).toMatchObject({
    clusterId: 'c-1',
    version: '0.1.0',
    service: ServiceKind.SERVICE_KIND_GATEWAY,
    endpoints: [endpoint],
    brokers: [broker],
    directoryAgeMs: 250n,
    limits: { batchBytesMax: 2_097_152, metadataBytesMax: 8192 },
  });
});

test('GetRoutes answers all topics, or those asked for, or that there is none', async () => {
  const { client } = await serveDirectory();
  const topics = async (names: string[]) =>
    (await callUnary(client, ClusterServiceService.getRoutes, { topics: names })).routes.map(({ topic }) => topic);
  expect(await topics([])).toEqual(['a', 'b']);
  expect(await topics(['b'])).toEqual(['b']);
  await expect(topics(['b', 'x'])).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND', metadata: { topic: 'x' } });
});

test('WatchRoutes sends the whole state, then only what changes', async () => {
  const { holder, client } = await serveDirectory();
  const messages: WatchRoutesResponse[] = [];
  const watch = openServerStream(
    client,
    ClusterServiceService.watchRoutes,
    { topics: [] },
    { onMessage: (message) => void messages.push(message) },
  );
  await expect.poll(() => messages.length).toBe(1);
  expect(messages[0]).toMatchObject({ reset: true, complete: true, brokers: [broker], endpoints: [endpoint] });
  expect(messages[0]?.routes.map(({ topic }) => topic)).toEqual(['a', 'b']);
  holder.update({ routes: [route('a', 2n), route('c')] });
  await expect.poll(() => messages.length).toBe(2);
  expect(messages[1]).toMatchObject({ reset: false, complete: true, deletedTopicIds: ['id-b'], brokers: [] });
  expect(messages[1]?.routes.map(({ topic }) => topic)).toEqual(['a', 'c']);
  holder.update({ routes: [route('a', 2n), route('c')] });
  holder.confirm();
  watch.cancel();
  await watch.closed;
  expect(messages.length).toBe(2);
});

test('WatchRoutes of some topics passes over the others', async () => {
  const { holder, client } = await serveDirectory();
  const seen: string[][] = [];
  const watch = openServerStream(
    client,
    ClusterServiceService.watchRoutes,
    { topics: ['b'] },
    { onMessage: ({ routes }) => void seen.push(routes.map(({ topic }) => topic)) },
  );
  await expect.poll(() => seen.length).toBe(1);
  holder.update({ routes: [route('a', 2n), route('b')] });
  holder.update({ routes: [route('a', 2n), route('b', 2n)] });
  await expect.poll(() => seen.length).toBe(2);
  expect(seen).toEqual([['b'], ['b']]);
  watch.cancel();
});

test('a slow watcher gets the newest state of each topic, once', () => {
  const holder = new DirectoryHolder(clock);
  holder.update({ routes: [route('a')] });
  const sent: WatchRoutesResponse[] = [];
  let drain: () => void = () => {};
  const stream = {
    writable: true,
    pendingBytes: 0,
    send: (message: WatchRoutesResponse) => sent.push(message) > 0,
    onDrain: (listener: () => void) => void (drain = listener),
    onClose: () => {},
    end: () => {},
  };
  const context = { draining: new AbortController().signal, signal: new AbortController().signal };
  watchRoutes(holder, { topics: [] }, stream, context as never);
  stream.writable = false;
  for (let version = 2n; version < 100n; version++)
    holder.update({ routes: [route('a', version), route(`t${version}`)] });
  holder.update({ routes: [route('a', 100n)] });
  expect(sent.length).toBe(1);
  stream.writable = true;
  drain();
  expect(sent.length).toBe(2);
  expect(sent[1]?.routes.map(({ version }) => version)).toEqual([100n]);
  expect(sent[1]?.deletedTopicIds.length).toBe(98);
});

test('listeners hear of differences only', () => {
  const holder = new DirectoryHolder(clock);
  const changes: DirectoryChange[] = [];
  const stop = holder.onChange((change) => changes.push(change));
  holder.update({ routes: [route('a')], brokers: [broker] });
  holder.update({ routes: [route('a')], brokers: [{ ...broker }] });
  expect(changes.length).toBe(1);
  expect(changes[0]).toMatchObject({ brokersChanged: true, endpointsChanged: false, deleted: [] });
  expect(holder.routeOf('a')?.topicId).toBe('id-a');
  expect(holder.routeOfId('id-a')?.topic).toBe('a');
  stop();
  holder.update({ routes: [] });
  expect(changes.length).toBe(1);
});
