/** A port that leads to Redis, and can be made to hang, to be slow, or to answer every command with an error. */
import { createConnection, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

type Mode =
  | { readonly kind: 'pass' }
  /** Takes bytes and passes none on. */
  | { readonly kind: 'hang' }
  /** Answers come this much later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Each command gets this error; `-` and the line's end are added. */
  | { readonly kind: 'error'; readonly text: string };

export class RedisProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: number;
  #mode: Mode = { kind: 'pass' };

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (client) => this.#serve(client));
  }

  static async start(target: number): Promise<RedisProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new RedisProxy(server, target);
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  /** From now on; connections that are open stay so. */
  become(mode: Mode): void {
    this.#mode = mode;
  }

  /** Cuts all connections; new ones lead to this port. */
  leadTo(target: number): void {
    this.#target = target;
    this.cut();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #serve(client: Socket): void {
    const redis = createConnection({ host: '127.0.0.1', port: this.#target });
    for (const socket of [client, redis]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        redis.destroy();
      });
    }
    client.on('data', (bytes) => {
      const mode = this.#mode;
      if (mode.kind === 'error') client.write(`-${mode.text}\r\n`.repeat(commandCount(bytes)));
      else if (mode.kind !== 'hang') redis.write(bytes);
    });
    redis.on('data', (bytes) => {
      const mode = this.#mode;
      if (mode.kind === 'hang') return;
      if (mode.kind === 'slow') setTimeout(() => client.write(bytes), mode.ms);
      else client.write(bytes);
    });
  }
}

/** Commands begin with `*<count>` at the start of a line; those of the suites are small and come whole. */
function commandCount(bytes: Buffer): number {
  return bytes.toString('latin1').match(/(?:^|\r\n)\*\d+\r\n/g)?.length ?? 1;
}
