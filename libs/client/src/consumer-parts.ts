/** What a client lends its consumers. */
import type { Tracer } from '@opentelemetry/api';
import type { ChannelPool } from '@partita/rpc/client';
import type { ListOffset } from './direct-records.ts';
import type { Endpoints } from './endpoints.ts';
import type { RouteCache } from './route-cache.ts';
import type { ServiceCalls } from './service-calls.ts';

export interface ConsumerParts {
  readonly pool: ChannelPool;
  readonly endpoints: Endpoints;
  readonly calls: ServiceCalls;
  readonly tracer: Tracer | undefined;
  readonly listOffset: ListOffset;
  /** The client's routes, watched from the first use on. */
  routes(): RouteCache;
}
