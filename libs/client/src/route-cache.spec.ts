import { PartitaError } from '@partita/domain';
import {
  ClusterServiceService,
  GetRoutesResponse,
  Partition,
  ServiceKind,
  TopicRoute,
  WatchRoutesResponse,
} from '@partita/protocol';
import { serverStreaming, unary } from '@partita/rpc/server';
import type { ServerStream } from '@partita/rpc/server';
import { afterEach, describe, expect, test } from 'vitest';
import { RouteCache } from './route-cache.ts';
import { closeAll, closeLater, listen, newPool, part, until } from './testing/loopback.ts';

afterEach(closeAll);

const route = (topic: string): TopicRoute => TopicRoute.fromPartial({ topic, topicId: `id-${topic}`, version: 1n });

/** A listener that tells `first` to every watcher and answers GetRoutes when the spec says so. */
async function directory(first: (address: string) => Parameters<typeof WatchRoutesResponse.fromPartial>[0]) {
  const watchers: ServerStream<WatchRoutesResponse>[] = [];
  const answers: ((response: GetRoutesResponse) => void)[] = [];
  const refusals: ((error: PartitaError) => void)[] = [];
  let address = '';
  const listening = await listen([
    part(ClusterServiceService, {
      watchRoutes: serverStreaming((_request, stream: ServerStream<WatchRoutesResponse>) => {
        watchers.push(stream);
        stream.send(WatchRoutesResponse.fromPartial({ reset: true, complete: true, ...first(address) }));
      }),
      getRoutes: unary(
        () =>
          new Promise<GetRoutesResponse>((resolve, reject) => {
            answers.push(resolve);
            refusals.push(reject);
          }),
      ),
    }),
  ]);
  address = listening.address;
  const refuse = (index: number, topic: string): void =>
    refusals[index]?.(new PartitaError('TOPIC_NOT_FOUND', 'not known here', { topic }));
  return { watchers, answers, refuse, address, server: listening.server };
}

function cacheOf(seed: string): RouteCache {
  const cache = new RouteCache({ seeds: [seed], pool: newPool() });
  closeLater(() => cache.close());
  cache.start();
  return cache;
}

const endpoint = (service: ServiceKind, address: string) => ({ service, address });

describe('a route cache', () => {
  test('lets nobody overtake those who wait for a route, though it came meanwhile by the watch', async () => {
    const { watchers, answers, address } = await directory(() => ({}));
    const cache = cacheOf(address);
    await until(() => cache.table.complete);
    const order: string[] = [];
    const ask = async (name: string) => {
      if (cache.lookup('new') === undefined) await cache.resolve('new');
      order.push(name);
    };
    const first = ask('first');
    await until(() => answers.length === 1);
    watchers[0]?.send(WatchRoutesResponse.fromPartial({ routes: [route('new')] }));
    await until(() => cache.table.topic('new') !== undefined);
    const second = ask('second');
    answers[0]?.(GetRoutesResponse.fromPartial({ routes: [route('new')] }));
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });

  test('keeps what it knows when it meets a broker that knows itself only', async () => {
    const alone = await directory((own) => ({
      endpoints: [endpoint(ServiceKind.SERVICE_KIND_BROKER, own)],
      brokers: [{ brokerId: 1, address: own }],
    }));
    const seed = await directory((own) => ({
      routes: [route('t')],
      endpoints: [
        endpoint(ServiceKind.SERVICE_KIND_COORDINATOR, own),
        endpoint(ServiceKind.SERVICE_KIND_BROKER, alone.address),
      ],
      brokers: [
        { brokerId: 1, address: alone.address },
        { brokerId: 2, address: 'b2' },
      ],
    }));
    const cache = cacheOf(seed.address);
    await until(() => cache.table.topic('t') !== undefined);
    seed.server.close();
    await until(() => alone.watchers.length > 0);
    await until(() => alone.watchers.length > 1);
    expect([cache.table.topic('t')?.topic, cache.table.brokers.length]).toEqual(['t', 2]);
  });

  test('asks others when the leader that its source knows is gone, or a topic is unknown there', async () => {
    const led = (leaderId: number, leaderEpoch: number): TopicRoute => ({
      ...route('t'),
      partitions: [Partition.fromPartial({ partition: 0, leaderId, leaderEpoch })],
    });
    const other = await directory(() => ({}));
    const behind = await directory((own) => ({
      routes: [led(1, 1)],
      endpoints: [
        endpoint(ServiceKind.SERVICE_KIND_COORDINATOR, own),
        endpoint(ServiceKind.SERVICE_KIND_COORDINATOR, other.address),
      ],
      brokers: [
        { brokerId: 1, address: 'b1' },
        { brokerId: 2, address: 'b2' },
      ],
    }));
    const cache = cacheOf(behind.address);
    await until(() => cache.table.complete);
    cache.suspectLeader('t');
    await until(() => behind.answers.length === 1 && other.answers.length === 1);
    other.answers[0]?.(GetRoutesResponse.fromPartial({ routes: [led(2, 2)] }));
    behind.answers[0]?.(GetRoutesResponse.fromPartial({ routes: [led(1, 1)] }));
    await until(() => cache.leader('id-t', 0)?.brokerId === 2);
    cache.suspectLeader('t');
    expect(other.answers).toHaveLength(1);

    const found = cache.resolve('new');
    await until(() => behind.answers.length === 2);
    behind.refuse(1, 'new');
    await until(() => other.answers.length === 2);
    other.answers[1]?.(GetRoutesResponse.fromPartial({ routes: [route('new')] }));
    expect((await found).topic).toBe('new');
  });

  test('asks for the leaders of a few topics at once, however many have lost theirs', async () => {
    const seed = await directory(() => ({}));
    const cache = cacheOf(seed.address);
    await until(() => cache.table.complete);
    for (let number = 0; number < 100; number += 1) cache.suspectLeader(`t-${number}`);
    await until(() => seed.answers.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(seed.answers).toHaveLength(16);
  });

  test('does not watch gateways, which only know what they watch themselves', async () => {
    const gateway = await directory(() => ({}));
    const seed = await directory((own) => ({
      endpoints: [
        endpoint(ServiceKind.SERVICE_KIND_COORDINATOR, own),
        endpoint(ServiceKind.SERVICE_KIND_GATEWAY, gateway.address),
      ],
    }));
    const cache = cacheOf(seed.address);
    await until(() => cache.table.complete);
    for (let count = 1; count <= 4; count += 1) {
      await until(() => seed.watchers.length === count);
      seed.watchers.at(-1)?.end();
    }
    expect(gateway.watchers).toEqual([]);
  });
});
