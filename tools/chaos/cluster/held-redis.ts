/** Redis of a cluster that is hurt: started again at once when it dies, unless it is held. */
import { startRedisServer } from '@partita/tool-dev/redis-server.ts';
import type { RedisCommand, RedisProcess } from '@partita/tool-dev/redis-server.ts';
import type { Placement } from '@partita/tool-dev/placement.ts';

export interface HeldRedisOptions {
  readonly command: RedisCommand;
  readonly port: number;
  readonly dataDir: string;
  readonly placement: Placement;
}

export class HeldRedis {
  readonly #options: HeldRedisOptions;
  #server: RedisProcess | undefined;
  #starting: Promise<void> = Promise.resolve();
  #holdCount = 0;
  #stopping = false;

  constructor(options: HeldRedisOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#server?.pid;
  }

  get url(): string {
    return `redis://${this.#options.placement.host}:${this.#options.port}`;
  }

  /** Resolves when it answers. */
  start(): Promise<void> {
    this.#starting = this.#starting.then(async () => {
      if (this.#server !== undefined || this.#stopping || this.#holdCount > 0) return;
      const server = await startRedisServer(this.#options);
      this.#server = server;
      void server.exited.then(() => {
        this.#server = undefined;
        void this.start().catch(() => undefined);
      });
    });
    return this.#starting;
  }

  hold(): void {
    this.#holdCount += 1;
  }

  async release(): Promise<void> {
    this.#holdCount -= 1;
    await this.start();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#starting.catch(() => undefined);
    await this.#server?.stop();
  }
}
