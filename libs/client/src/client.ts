/** The way in: connect with any address of a cluster, then produce, consume, read and administer. */
import type { Tracer } from '@opentelemetry/api';
import { CLIENT_ID_BYTES_MAX, PUBLIC_MESSAGE_BYTES_MAX } from '@partita/domain';
import type { GetClusterResponse } from '@partita/protocol';
import { ChannelPool } from '@partita/rpc/client';
import { Admin } from './admin.ts';
import { clientError, refused } from './client-error.ts';
import { Consumer } from './consumer.ts';
import type { ConsumerOptions } from './consumer-options.ts';
import { Endpoints } from './endpoints.ts';
import { LeaderCalls } from './leader-calls.ts';
import { GatewayAppender } from './producing/gateway-appender.ts';
import { LeaderAppender } from './producing/leader-appender.ts';
import { PlainSender } from './producing/plain-sender.ts';
import { Producer } from './producing/producer.ts';
import type { ProducerOptions } from './producing/producer-options.ts';
import type { RecordSender } from './producing/record-sender.ts';
import { mayPass } from './producing/retried-errors.ts';
import { SessionSender } from './producing/session-sender.ts';
import { readRecords } from './reader.ts';
import type { ReadOptions } from './reader.ts';
import type { ReceivedRecord } from './record-form.ts';
import { RouteCache } from './route-cache.ts';
import { ServiceCalls } from './service-calls.ts';
import { activeTracer } from './spans.ts';

export interface ConnectOptions {
  /** Addresses `host:port` of any services of the cluster, tried in turn. */
  readonly servers: readonly string[];
  /** Names the caller in logs, spans and descriptions; at most 255 bytes. */
  readonly clientId?: string | undefined;
  /** Spans for sends, processed records and calls. Default: when the process has set OpenTelemetry up. */
  readonly tracing?: boolean | undefined;
  /** Gives up connecting. */
  readonly signal?: AbortSignal | undefined;
}

/** Rejects with SERVICE_UNREACHABLE, naming all addresses tried, when none answers. */
export async function connect(options: ConnectOptions): Promise<PartitaClient> {
  const clientId = options.clientId ?? '';
  if (new TextEncoder().encode(clientId).byteLength > CLIENT_ID_BYTES_MAX) {
    throw refused('INVALID_REQUEST', `clientId is longer than ${CLIENT_ID_BYTES_MAX} bytes`, { field: 'clientId' });
  }
  const tracer = options.tracing === false ? undefined : activeTracer();
  const pool = new ChannelPool({
    clientId,
    tracing: tracer === undefined ? 'off' : 'roots',
    messageBytesMax: 2 * PUBLIC_MESSAGE_BYTES_MAX,
  });
  const endpoints = new Endpoints(pool, options.servers);
  try {
    await endpoints.discover(options.signal);
  } catch (error) {
    pool.close();
    throw clientError(error);
  }
  return new PartitaClient(pool, endpoints, tracer, options.servers);
}

interface Closeable {
  readonly closed: boolean;
  close(): Promise<void>;
}

/** A connection to a cluster. Made by `connect`. */
export class PartitaClient {
  readonly admin: Admin;
  readonly #pool: ChannelPool;
  readonly #endpoints: Endpoints;
  readonly #tracer: Tracer | undefined;
  readonly #calls: ServiceCalls;
  readonly #servers: readonly string[];
  #routes: RouteCache | undefined;
  /** What `close` has to end. */
  readonly #open = new Set<Closeable>();

  constructor(pool: ChannelPool, endpoints: Endpoints, tracer: Tracer | undefined, servers: readonly string[]) {
    this.#servers = servers;
    this.#pool = pool;
    this.#endpoints = endpoints;
    this.#tracer = tracer;
    this.#calls = new ServiceCalls(pool, endpoints);
    this.admin = new Admin(this.#calls, new LeaderCalls(pool, this.#calls));
  }

  /** The cluster as told last: id, version, endpoints, limits. */
  get cluster(): GetClusterResponse | undefined {
    return this.#endpoints.cluster;
  }

  /** Keep one for the life of the process: it has one stream for all topics, and a session with each partition. */
  producer(options: ProducerOptions = {}): Producer {
    return this.#track(new Producer(this.#sender(options), this.#tracer, options));
  }

  /** A member of a group; it joins when its first record is asked for. */
  consumer(options: ConsumerOptions): Consumer {
    const parts = {
      pool: this.#pool,
      endpoints: this.#endpoints,
      calls: this.#calls,
      tracer: this.#tracer,
      listOffset: this.admin.listOffset.bind(this.admin),
      routes: () => this.#watchedRoutes(),
    };
    return this.#track(new Consumer(parts, options));
  }

  /** Records without a group. */
  read(options: ReadOptions): AsyncGenerator<ReceivedRecord, void, undefined> {
    return readRecords(this.#calls, options);
  }

  /** Closes producers (waiting for what they send) and consumers (leaving their groups), then all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((part) => part.close()));
    this.#routes?.close();
    this.#pool.close();
  }

  #sender(options: ProducerOptions): RecordSender {
    const { delivery = 'batches' } = options;
    if (delivery === 'records') return new PlainSender(this.#pool, this.#endpoints, options);
    const routes = this.#watchedRoutes();
    const sink =
      delivery === 'direct'
        ? new LeaderAppender(routes, this.#pool, { mayPass })
        : new GatewayAppender(this.#pool, this.#endpoints);
    return new SessionSender(routes, sink, options);
  }

  /** One watch for all producers with a session and all direct consumers. */
  #watchedRoutes(): RouteCache {
    if (this.#routes === undefined) {
      this.#routes = new RouteCache({ seeds: this.#servers, pool: this.#pool });
      this.#routes.start();
    }
    return this.#routes;
  }

  #track<Part extends Closeable>(part: Part): Part {
    for (const open of this.#open) if (open.closed) this.#open.delete(open);
    this.#open.add(part);
    return part;
  }
}
