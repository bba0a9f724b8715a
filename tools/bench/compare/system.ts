/** What is compared: a system with its servers and its load generator, at one level of safety. */
import type { Sample } from '../sample.ts';

/** What an acknowledged record has reached: the page caches of replicas, or their disks. */
export const FLUSHES = ['os', 'fsync'] as const;
export type Flush = (typeof FLUSHES)[number];

/** One run of a load. */
export interface Work {
  readonly seconds: number;
  readonly recordBytes: number;
  /** Records that are due in a second, open loop; absent = as many as are acknowledged, closed loop. */
  readonly ratePerSecond?: number;
}

/** Processes whose CPU time counts, by the end that they work for. */
export interface Pids {
  readonly client: readonly number[];
  readonly servers: readonly number[];
}

/**
 * The systems by name. `ready` and `raw` measure one size of record, and no latencies. `kafka` has the linger that Kafka's
 * producer has by itself, `kafka-eager` none.
 */
export type SystemName = 'direct' | 'gateway' | 'ready' | 'raw' | 'kafka' | 'kafka-eager' | 'nats';

export interface System {
  readonly name: SystemName;
  readonly flush: Flush;
  readonly pids: Pids;
  /** Makes what one run writes to, ready to be written: a topic of three replicas, all in sync. */
  create(): Promise<string>;
  produce(topic: string, work: Work): Promise<Sample>;
  delete(topic: string): Promise<void>;
}

export const TITLES: Readonly<Record<SystemName, string>> = {
  direct: 'Partita, direct',
  gateway: 'Partita, by the gateway',
  ready: 'Partita, ready batches, direct',
  raw: 'raw gRPC, the same hops',
  kafka: 'Kafka',
  'kafka-eager': 'Kafka, linger 0',
  nats: 'NATS JetStream',
};
