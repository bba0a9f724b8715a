/** A record to each partition of a topic again and again, as even as timers allow; its value is when it was sent. */
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';

const TICK_MS = 10;
const PER_PARTITION_PER_SECOND = 4;

export class SteadyRecords {
  acknowledgedCount = 0;
  readonly #client: PartitaClient;
  readonly #open = new Set<Promise<unknown>>();
  readonly #timer: NodeJS.Timeout;

  static async start(server: string, topic: string, partitionCount: number): Promise<SteadyRecords> {
    return new SteadyRecords(await connect({ servers: [server], clientId: 'steady' }), topic, partitionCount);
  }

  private constructor(client: PartitaClient, topic: string, partitionCount: number) {
    this.#client = client;
    const producer = client.producer();
    const startMs = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      const due = ((performance.now() - startMs) / 1000) * partitionCount * PER_PARTITION_PER_SECOND;
      for (; sent < due; sent += 1) {
        const record = { value: String(performance.now()) };
        const sending: Promise<unknown> = producer
          .send(topic, record, { partition: sent % partitionCount })
          .then(() => (this.acknowledgedCount += 1))
          .finally(() => this.#open.delete(sending));
        this.#open.add(sending);
      }
    }, TICK_MS);
  }

  /** Resolves when every record sent is acknowledged. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    await this.#client.close();
  }
}

/** How long ago the record with this value was sent, milliseconds. */
export function ageMsOf(value: Uint8Array | undefined): number {
  return performance.now() - Number(Buffer.from(value ?? []).toString());
}
