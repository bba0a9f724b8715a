/**
 * Limits on connections that grpc-js has no option for, through Node's diagnostics channels: `net.server.socket` sees
 * every accepted socket, `http2.server.stream.created` every stream before its handler. The channels are the process's;
 * a socket is ours when its local port is one of the listeners that are registered here.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants } from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { isBeyondTimers } from './grpc-timeout.ts';
import { raiseWindow } from './http2-window.ts';
import type { ListenerLimits } from './limits.ts';
import type { RpcLogger } from './server-core.ts';

const SOCKETS = 'net.server.socket';
const STREAMS = 'http2.server.stream.created';
const RESET_SPAN_MS = 1000;

/** Guards by local port. Subscribed to the channels while there is one. */
const guards = new Map<number, ConnectionGuard>();

interface StreamCreated {
  readonly stream: ServerHttp2Stream;
  readonly headers: Record<string, unknown>;
}

function onSocket(message: unknown): void {
  const { socket } = message as { readonly socket: Socket };
  guards.get(socket.localPort ?? 0)?.admit(socket);
}

function onStream(message: unknown): void {
  const { stream, headers } = message as StreamCreated;
  const session = stream.session as ServerHttp2Session | undefined;
  guards.get(session?.socket.localPort ?? 0)?.watch(session as ServerHttp2Session, stream, headers);
}

/** Streams of one session that did not end well, since `sinceMs`. */
interface ResetCount {
  sinceMs: number;
  count: number;
}

export class ConnectionGuard {
  readonly #limits: ListenerLimits;
  readonly #logger: RpcLogger;
  readonly #sockets = new Set<Socket>();
  /** Open connections by remote address. Invariant: the sum is the size of #sockets. */
  readonly #counts = new Map<string, number>();
  readonly #resets = new WeakMap<ServerHttp2Session, ResetCount>();
  #port = 0;

  constructor(limits: ListenerLimits, logger: RpcLogger) {
    this.#limits = limits;
    this.#logger = logger;
  }

  /** Begins to watch the listener on `port`. */
  open(port: number): void {
    if (guards.size === 0) {
      subscribe(SOCKETS, onSocket);
      subscribe(STREAMS, onStream);
    }
    this.#port = port;
    guards.set(port, this);
  }

  /** Cuts all connections and stops watching. grpc-js alone forgets connections when channelz is off. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    if (guards.get(this.#port) !== this) return;
    guards.delete(this.#port);
    if (guards.size > 0) return;
    unsubscribe(SOCKETS, onSocket);
    unsubscribe(STREAMS, onStream);
  }

  admit(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const count = (this.#counts.get(address) ?? 0) + 1;
    if (count > this.#limits.connectionsPerAddressMax) {
      this.#logger.warn(
        { address, limit: this.#limits.connectionsPerAddressMax },
        'connection refused: too many from one address',
      );
      socket.destroy();
      return;
    }
    this.#counts.set(address, count);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#counts.get(address) ?? 1) - 1;
      if (left === 0) this.#counts.delete(address);
      else this.#counts.set(address, left);
    });
  }

  watch(session: ServerHttp2Session, stream: ServerHttp2Stream, headers: Record<string, unknown>): void {
    let resets = this.#resets.get(session);
    if (resets === undefined) {
      resets = { sinceMs: performance.now(), count: 0 };
      this.#resets.set(session, resets);
      raiseWindow(session, this.#limits);
    }
    // The call then has the server's own limit; the caller's timer still is its own.
    if (isBeyondTimers(headers['grpc-timeout'])) delete headers['grpc-timeout'];
    const counted = resets;
    stream.once('close', () => {
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.#countReset(session, counted);
    });
  }

  #countReset(session: ServerHttp2Session, resets: ResetCount): void {
    const nowMs = performance.now();
    if (nowMs - resets.sinceMs > RESET_SPAN_MS) {
      resets.sinceMs = nowMs;
      resets.count = 0;
    }
    resets.count++;
    if (resets.count <= this.#limits.streamResetsPerSecondMax || session.destroyed) return;
    this.#logger.warn(
      { address: session.socket.remoteAddress },
      'connection cut: it opens and resets too many streams',
    );
    session.destroy();
  }
}
