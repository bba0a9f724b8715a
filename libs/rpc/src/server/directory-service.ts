/** GetCluster, GetRoutes and WatchRoutes, answered from a DirectoryView by every service alike. */
import {
  BATCH_BYTES_MAX,
  BATCH_RECORD_COUNT_MAX,
  BATCH_UNCOMPRESSED_BYTES_MAX,
  DEADLINE_MS_MAX,
  FETCH_WAIT_MS_MAX,
  METADATA_BYTES_MAX,
  PUBLIC_MESSAGE_BYTES_MAX,
  PartitaError,
  RECORD_BYTES_MAX,
  RECORD_HEADERS_BYTES_MAX,
  RECORD_HEADER_COUNT_MAX,
  RESPONSE_BYTES_MAX,
} from '@partita/domain';
import type { Clock } from '@partita/domain';
import type {
  ClusterLimits,
  ClusterServiceService,
  GetClusterResponse,
  GetRoutesRequest,
  GetRoutesResponse,
  ServiceKind,
} from '@partita/protocol';
import type { DirectoryView } from './directory.ts';
import { serverStreaming, unary } from './methods.ts';
import type { Implementation } from './methods.ts';
import { watchRoutes } from './route-watch.ts';

export interface DirectoryServiceOptions {
  /** Which service answers. */
  readonly service: ServiceKind;
  /** Version of the product. */
  readonly version: string;
  readonly clock: Clock;
}

type DirectoryMethods = Required<
  Pick<Implementation<ClusterServiceService>, 'getCluster' | 'getRoutes' | 'watchRoutes'>
>;

/** The three methods, to be spread into an implementation of ClusterService. */
export function directoryMethods(view: DirectoryView, options: DirectoryServiceOptions): DirectoryMethods {
  return {
    getCluster: unary(() => describe(view, options)),
    getRoutes: unary((request) => routes(view, request)),
    watchRoutes: serverStreaming((request, stream, context) => watchRoutes(view, request, stream, context)),
  };
}

const LIMITS: ClusterLimits = {
  recordBytesMax: RECORD_BYTES_MAX,
  batchBytesMax: BATCH_BYTES_MAX,
  batchUncompressedBytesMax: BATCH_UNCOMPRESSED_BYTES_MAX,
  batchRecordCountMax: BATCH_RECORD_COUNT_MAX,
  messageBytesMax: PUBLIC_MESSAGE_BYTES_MAX,
  responseBytesMax: RESPONSE_BYTES_MAX,
  metadataBytesMax: METADATA_BYTES_MAX,
  deadlineMsMax: DEADLINE_MS_MAX,
  fetchWaitMsMax: FETCH_WAIT_MS_MAX,
  recordHeaderCountMax: RECORD_HEADER_COUNT_MAX,
  recordHeadersBytesMax: RECORD_HEADERS_BYTES_MAX,
};

function describe(view: DirectoryView, options: DirectoryServiceOptions): GetClusterResponse {
  const directory = view.snapshot();
  const ageMs = Math.max(0, options.clock.monotonicMs() - view.updatedAtMonotonicMs);
  return {
    clusterId: directory.clusterId,
    version: options.version,
    service: options.service,
    endpoints: [...directory.endpoints],
    limits: LIMITS,
    directoryAgeMs: BigInt(Math.round(ageMs)),
    brokers: [...directory.brokers],
  };
}

function routes(view: DirectoryView, request: GetRoutesRequest): GetRoutesResponse {
  const directory = view.snapshot();
  const brokers = [...directory.brokers];
  if (request.topics.length === 0) return { routes: [...directory.routes], brokers };
  const asked = request.topics.map((topic) => {
    const route = view.routeOf(topic);
    if (route === undefined) {
      const message = `topic ${topic} does not exist; create it: npx partita topic create ${topic}`;
      throw new PartitaError('TOPIC_NOT_FOUND', message, { topic });
    }
    return route;
  });
  return { routes: asked, brokers };
}
