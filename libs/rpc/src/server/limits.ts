/**
 * What a listener allows. grpc-js has options for some of it; the rest is enforced on sockets and HTTP/2 sessions through
 * Node's diagnostics channels (connection-guard.ts).
 */
import type { ServerOptions } from '@grpc/grpc-js';
import {
  CONNECTIONS_PER_ADDRESS_COUNT_MAX,
  CONNECTION_AGE_GRACE_MS,
  CONNECTION_AGE_MS_MAX,
  CONNECTION_BUFFER_BYTES_MAX,
  PEER_CONCURRENT_STREAM_COUNT_MAX,
  PEER_MESSAGE_BYTES_MAX,
  PUBLIC_CONCURRENT_STREAM_COUNT_MAX,
  PUBLIC_MESSAGE_BYTES_MAX,
  SERVER_BUFFER_BYTES_MAX,
  STREAM_RESETS_PER_SECOND_MAX,
} from '@partita/domain';

/** Whom a listener serves: everybody, or services of the same cluster. */
export type ListenerKind = 'public' | 'peer';

export interface ListenerLimits {
  /** Received message, after inflation. */
  readonly messageBytesMax: number;
  /** Streams open at once on one connection. */
  readonly concurrentStreamCountMax: number;
  /** Connections open at once from one remote address. */
  readonly connectionsPerAddressMax: number;
  /** Streams reset by the caller within a second on one connection. */
  readonly streamResetsPerSecondMax: number;
  /** What a connection may send ahead of what was read: its HTTP/2 receive windows, of a stream and of all streams. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Bytes waiting to be sent in all streams of the listener, at which senders are told to wait. */
  readonly serverBufferBytesMax: number;
  /** Age at which a connection is asked to go; undefined = never. */
  readonly connectionAgeMsMax: number | undefined;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

/**
 * One sender over a line of 40 ms there and back gets 200 MB/s with it; with half of that the window, not the machine, is
 * what holds it up. The connection's own window bounds what a client makes a server hold.
 */
const WINDOW_BYTES = 8 * 1024 * 1024;

const SHARED = {
  connectionsPerAddressMax: CONNECTIONS_PER_ADDRESS_COUNT_MAX,
  streamResetsPerSecondMax: STREAM_RESETS_PER_SECOND_MAX,
  streamWindowBytes: WINDOW_BYTES,
  // A quarter: the rest is for messages that are put together, decoded and queued.
  connectionWindowBytes: CONNECTION_BUFFER_BYTES_MAX / 4,
  serverBufferBytesMax: SERVER_BUFFER_BYTES_MAX,
};

export const LISTENER_LIMITS: Readonly<Record<ListenerKind, ListenerLimits>> = {
  public: {
    ...SHARED,
    messageBytesMax: PUBLIC_MESSAGE_BYTES_MAX,
    concurrentStreamCountMax: PUBLIC_CONCURRENT_STREAM_COUNT_MAX,
    connectionAgeMsMax: CONNECTION_AGE_MS_MAX,
    keepaliveMs: 30_000,
    keepaliveTimeoutMs: 10_000,
  },
  // Never aged: replication and sessions live as long as their processes.
  peer: {
    ...SHARED,
    messageBytesMax: PEER_MESSAGE_BYTES_MAX,
    concurrentStreamCountMax: PEER_CONCURRENT_STREAM_COUNT_MAX,
    connectionAgeMsMax: undefined,
    keepaliveMs: 5000,
    keepaliveTimeoutMs: 3000,
  },
};

/** The limits that grpc-js enforces. */
export function serverOptions(limits: ListenerLimits): ServerOptions {
  const age =
    limits.connectionAgeMsMax === undefined
      ? {}
      : {
          'grpc.max_connection_age_ms': limits.connectionAgeMsMax,
          'grpc.max_connection_age_grace_ms': CONNECTION_AGE_GRACE_MS,
        };
  return {
    'grpc.max_concurrent_streams': limits.concurrentStreamCountMax,
    'grpc.max_receive_message_length': limits.messageBytesMax,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    'grpc.enable_channelz': 0,
    ...age,
  };
}
