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

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** A connection of a client, and the ids that the client has named on it. */
interface Passage {
  readonly client: Socket;
  readonly redis: Socket;
  readonly named: Set<string>;
}

export class RedisProxy {
  readonly #server: Server;
  readonly #passages = new Set<Passage>();
  /** Whoever names this id gets through no more, nor does anybody new. */
  #isolated: string | undefined;
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

  /** Cuts off the client that names this id, a coordinator's run, and keeps others as they are. Undefined = ends that. */
  isolate(id: string | undefined): void {
    this.#isolated = id;
    for (const { client, named } of this.#passages) if (id !== undefined && named.has(id)) client.destroy();
  }

  cut(): void {
    for (const { client } of this.#passages) client.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #serve(client: Socket): void {
    if (this.#isolated !== undefined) return void client.destroy();
    const redis = createConnection({ host: '127.0.0.1', port: this.#target });
    const passage = { client, redis, named: new Set<string>() };
    this.#passages.add(passage);
    for (const socket of [client, redis]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#passages.delete(passage);
        client.destroy();
        redis.destroy();
      });
    }
    client.on('data', (bytes) => {
      const mode = this.#mode;
      for (const [id] of bytes.toString('latin1').matchAll(UUID)) if (passage.named.size < 1000) passage.named.add(id);
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
