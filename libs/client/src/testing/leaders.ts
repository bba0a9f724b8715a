/** A route cache that knows what the spec tells it, for the direct path to partition leaders. */
import { TopicRoute, WatchRoutesResponse } from '@partita/protocol';
import { RouteCache } from '../route-cache.ts';
import { closeLater, newPool } from './loopback.ts';

export const TOPIC_ID = '0190a2b4-0000-7000-8000-000000000001';

/** Where partition 0 of topic "t" is led. */
export function leaderUpdate(brokerId: number, address: string, leaderEpoch: number): WatchRoutesResponse {
  return WatchRoutesResponse.fromPartial({
    routes: [
      TopicRoute.fromPartial({
        topic: 't',
        topicId: TOPIC_ID,
        version: 1n,
        partitions: [{ partition: 0, leaderId: brokerId, leaderEpoch }],
      }),
    ],
    brokers: [{ brokerId, address }],
  });
}

/** Never started: it asks nobody by itself. */
export function routesTo(brokerId: number, address: string, leaderEpoch = 1): RouteCache {
  const routes = new RouteCache({ seeds: ['127.0.0.1:1'], pool: newPool() });
  routes.table.apply(leaderUpdate(brokerId, address, leaderEpoch));
  closeLater(() => routes.close());
  return routes;
}
