/** One connection per address, shared by all that call it. */
import { randomUUID } from 'node:crypto';
import { Channel, Client, credentials } from '@grpc/grpc-js';
import type { ChannelCredentials, ClientOptions } from '@grpc/grpc-js';
import { PartitaError, PEER_MESSAGE_BYTES_MAX } from '@partita/domain';
import { CLIENT_ID_KEY, REQUEST_ID_KEY } from '../metadata.ts';
import type { TracingMode } from '../tracing-mode.ts';
import { traceCalls } from './tracing.ts';

/** HTTP/2 receive window of a stream; the default of 64 KiB starves every link with a round trip. */
const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
const KEEPALIVE_MS = 5000;
const KEEPALIVE_TIMEOUT_MS = 3000;
/** A service that was away is found again within this: whoever waits for it may hold up a partition. */
const RECONNECT_MS_MAX = 1000;

export interface ChannelOptions {
  /** Largest message taken. Default PEER_MESSAGE_BYTES_MAX. */
  readonly messageBytesMax?: number;
  /** Sent as `partita-client-id` with each call that does not carry one. */
  readonly clientId?: string;
  /** Which unary calls have spans. Default `off`. */
  readonly tracing?: TracingMode;
  /** Default: plaintext. */
  readonly credentials?: ChannelCredentials;
}

/** A client class as generated. */
export type ClientConstructor<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

/** A generated client with a channel of its own. `callUnary` and its siblings take it as well as a pool's client. */
export function makeClient<C>(constructor: ClientConstructor<C>, address: string, options: ChannelOptions = {}): C {
  return new constructor(address, options.credentials ?? credentials.createInsecure(), {
    ...transportOptions(options),
    ...callOptions(options),
  });
}

/** Channels by address. Not bounded by itself: addresses are those of the cluster's services. */
export class ChannelPool {
  readonly #options: ChannelOptions;
  readonly #clients = new Map<string, Client>();
  #closed = false;

  constructor(options: ChannelOptions = {}) {
    this.#options = options;
  }

  /** The client of an address, made on first use. It connects with its first call and reconnects by itself. */
  client(address: string): Client {
    if (this.#closed) throw new PartitaError('CANCELLED', 'the client is closed');
    let client = this.#clients.get(address);
    if (client === undefined) {
      const channel = new Channel(
        address,
        this.#options.credentials ?? credentials.createInsecure(),
        transportOptions(this.#options),
      );
      client = new Client(address, credentials.createInsecure(), {
        channelOverride: channel,
        ...callOptions(this.#options),
      });
      this.#clients.set(address, client);
    }
    return client;
  }

  /** Closes and forgets the client of an address; its running calls go on to their end. */
  forget(address: string): void {
    this.#clients.get(address)?.close();
    this.#clients.delete(address);
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

function transportOptions(options: ChannelOptions): Partial<ClientOptions> {
  return {
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_receive_message_length': options.messageBytesMax ?? PEER_MESSAGE_BYTES_MAX,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc-node.flow_control_window': STREAM_WINDOW_BYTES,
    'grpc.enable_channelz': 0,
    'grpc.service_config_disable_resolution': 1,
    // A channel per pool: sharing connections behind our back would share their flow control too.
    'grpc.use_local_subchannel_pool': 1,
    // Services of one cluster are no matter for a web proxy.
    'grpc.enable_http_proxy': 0,
  };
}

function callOptions(options: ChannelOptions): Partial<ClientOptions> {
  const clientId = options.clientId ?? '';
  return {
    // Sees each call once, and costs no layer around its messages as an interceptor would.
    callInvocationTransformer: traceCalls(options.tracing ?? 'off', (properties) => {
      const { metadata } = properties;
      if (metadata.get(REQUEST_ID_KEY).length === 0) metadata.set(REQUEST_ID_KEY, randomUUID());
      if (clientId !== '' && metadata.get(CLIENT_ID_KEY).length === 0) metadata.set(CLIENT_ID_KEY, clientId);
      return properties;
    }),
  };
}
