/**
 * Clients that write and read a topic while things happen to its cluster, and write down what they did and were told:
 * producers of the SDK with acks=all, readers of all partitions, and one that asks for the high watermarks. No failure of
 * a call is thrown: it is a completion in the history. `finalRead` reads everything at the end, so that what is then
 * unseen is lost.
 */
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { finalRead } from './final-read.ts';
import type { HistoryEvent } from './history.ts';
import type { Recorder } from './recorder.ts';
import type { Site } from './site.ts';
import { produceRecords } from './workload-producer.ts';
import { readPartitions } from './workload-reader.ts';
import { watchHighWatermarks } from './workload-watcher.ts';

export interface WorkloadOptions {
  /** Addresses `host:port` of any services of the cluster. */
  readonly endpoints: readonly string[];
  /** It exists, and keeps its records. */
  readonly topic: string;
  readonly recorder: Recorder;
  /** Every other one lets the record's key choose the partition. Default 2; 0 = others write. */
  readonly producerCount?: number;
  /** Default 2. */
  readonly readerCount?: number;
  /** Of all producers together. Default 500. */
  readonly recordsPerSecondMax?: number;
}

/** A running workload. It ends with `stop`. */
export class Workload {
  readonly #site: Site;
  readonly #producing = new AbortController();
  readonly #reading = new AbortController();
  readonly #producers: readonly Promise<void>[];
  readonly #readers: readonly Promise<void>[];

  /** Begins at once. Rejects when the cluster does not answer, or has no such topic. */
  static async start(options: WorkloadOptions): Promise<Workload> {
    const way = { servers: options.endpoints, clientId: 'history' };
    const client = await connect(way);
    try {
      const { partitionCount } = await client.admin.getTopic(options.topic);
      const clients = Array.from({ length: options.producerCount ?? 2 }, () => connect(way));
      return new Workload(options, partitionCount, await Promise.all(clients));
    } finally {
      await client.close();
    }
  }

  private constructor(options: WorkloadOptions, partitionCount: number, clients: readonly PartitaClient[]) {
    const { endpoints, topic, recorder } = options;
    this.#site = { endpoints, topic, partitionCount, recorder, stopping: this.#producing.signal };
    const reading = { ...this.#site, stopping: this.#reading.signal };
    const intervalMs = (1000 * clients.length) / (options.recordsPerSecondMax ?? 500);
    this.#producers = clients.map((client, number) =>
      produceRecords(this.#site, { client, intervalMs, namesPartition: number % 2 === 0 }),
    );
    const readers = Array.from({ length: options.readerCount ?? 2 }, (_, number) => readPartitions(reading, number));
    this.#readers = [...readers, watchHighWatermarks(reading)];
  }

  /** Ends the producers, waiting for what they sent, then the readers. Every operation has its completion afterwards. */
  async stop(): Promise<void> {
    this.#producing.abort();
    await Promise.all(this.#producers);
    this.#reading.abort();
    await Promise.all(this.#readers);
  }

  /**
   * After `stop`, on a healed cluster: a fresh client reads every partition from the beginning to its end, past all that
   * anyone was told of. Answers the keys where that took longer than the time given: unreachable, or lost. `others` is what
   * clients were told that write into other recorders.
   */
  finalRead(
    secondsMax = 60,
    endpoints: readonly string[] = this.#site.endpoints,
    others: readonly HistoryEvent[] = [],
  ): Promise<string[]> {
    return finalRead({ ...this.#site, endpoints }, secondsMax, [...this.#site.recorder.events, ...others]);
  }
}
