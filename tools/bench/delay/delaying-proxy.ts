/** A port that leads to another one as a long line would: everything arrives later, in both directions. */
import { createConnection, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { LOOPBACK } from '@partita/tool-dev/placement.ts';
import { DelayedPipe } from './delayed-pipe.ts';

/** On their way in one direction of a connection: 40 ms at 1.6 GB/s, which nothing here reaches. */
const LINE_BYTES_MAX = 64 * 1024 * 1024;

export class DelayingProxy {
  /** One way. A change holds for what comes from then on, also on connections that are open. */
  delayMs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: () => number;

  private constructor(server: Server, target: () => number) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (near) => this.#serve(near));
  }

  /** Listens on a port of its own. `target` is asked for each connection; what throws there ends the connection. */
  static async start(target: () => number): Promise<DelayingProxy> {
    // Half-open: a direction that has ended leaves the other one as it is.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
    return new DelayingProxy(server, target);
  }

  /** `host:port`. */
  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return `${LOOPBACK}:${address.port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(near: Socket): void {
    let far: Socket;
    try {
      far = createConnection({ host: LOOPBACK, port: this.#target(), allowHalfOpen: true, noDelay: true });
    } catch {
      near.destroy();
      return;
    }
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      // What breaks on one side breaks on the other; `close` follows.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (socket.errored !== null || !socket.readableEnded) (socket === near ? far : near).resetAndDestroy();
      });
    }
    const options = { delayMs: () => this.delayMs, bytesMax: LINE_BYTES_MAX };
    new DelayedPipe(near, far, options);
    new DelayedPipe(far, near, options);
  }
}
