/** A consumer of the SDK that handles records while things happen, as an application does: what it throws is an error seen. */
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';

export class SteadyConsumer {
  /** Of `run`; there should be none. */
  readonly errors: string[] = [];
  handledCount = 0;
  readonly #client: PartitaClient;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;

  /** Consumes at once. */
  static async start(servers: readonly string[], group: string, topic: string): Promise<SteadyConsumer> {
    return new SteadyConsumer(await connect({ servers }), group, topic);
  }

  private constructor(client: PartitaClient, group: string, topic: string) {
    this.#client = client;
    const consumer = client.consumer({ group, topics: [topic], signal: this.#stopping.signal });
    const handle = (): void => void (this.handledCount += 1);
    this.#done = consumer.run(handle).catch((error: unknown) => void this.errors.push(String(error)));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
    await this.#client.close();
  }
}
