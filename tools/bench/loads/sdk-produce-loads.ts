/** Producing with the SDK as a service would: as much as is acknowledged, and at a rate with the latency of each record. */
import type { OutgoingRecord, ProducerOptions } from '@partita/client';
import { Latencies } from '../latencies.ts';
import { IN_FLIGHT_BYTES, SEND_BYTES } from '../produce/settings.ts';
import type { ProduceSettings, ProduceWork } from '../produce/settings.ts';
import type { Sample } from '../sample.ts';
import { dueMs, sendAtRate } from './open-loop.ts';
import { OrderPool } from './order-pool.ts';
import { SendWindow } from './send-window.ts';

/** What comes first is not counted: the producer opens its streams then. */
const LATENCY_WARM_UP_MS = 500;
const DELIVERY_TIMEOUT_MS = 30_000;

/** What the loads need of the SDK's client. */
export interface ProducerSource {
  producer(options: ProducerOptions): RecordSender;
}

interface RecordSender {
  send(topic: string, records: readonly OutgoingRecord[]): Promise<unknown>;
  close(): Promise<void>;
}

export class SdkProduceLoads {
  readonly #client: ProducerSource;
  /** By the size of a record. */
  readonly #pools = new Map<number, OrderPool>();

  constructor(client: ProducerSource) {
    this.#client = client;
  }

  /** With a producer of its own. Every record must be acknowledged. */
  async run(topic: string, seconds: number, work: ProduceWork): Promise<Sample> {
    const { settings, ratePerSecond, inFlightBytes = IN_FLIGHT_BYTES } = work;
    const { delivery, acks, codec, lingerMs } = settings;
    const options = { delivery, acks, codec, lingerMs, deliveryTimeoutMs: DELIVERY_TIMEOUT_MS };
    const producer = this.#client.producer(options);
    const load = { producer, topic, seconds, settings, inFlightBytes, pool: this.#pool(settings.recordBytes) };
    try {
      return ratePerSecond === undefined ? await closedLoop(load) : await openLoop(load, ratePerSecond);
    } finally {
      await producer.close();
    }
  }

  #pool(recordBytes: number): OrderPool {
    const pool = this.#pools.get(recordBytes) ?? new OrderPool(recordBytes);
    this.#pools.set(recordBytes, pool);
    return pool;
  }
}

interface Load {
  readonly producer: RecordSender;
  readonly topic: string;
  readonly seconds: number;
  readonly settings: ProduceSettings;
  readonly inFlightBytes: number;
  readonly pool: OrderPool;
}

/** Calls of `send` with some records each, as many at once as the bytes in flight allow. */
async function closedLoop({ producer, topic, seconds, settings, inFlightBytes, pool }: Load): Promise<Sample> {
  const { recordBytes } = settings;
  const recordsPerCall = Math.max(1, Math.floor(SEND_BYTES / recordBytes));
  const window = new SendWindow({
    seconds,
    inFlightMax: Math.max(1, Math.floor(inFlightBytes / (recordsPerCall * recordBytes))),
    send: () => {
      producer.send(topic, pool.take(recordsPerCall)).then(
        () => window.answered(),
        (error: unknown) => window.fail(error as Error),
      );
    },
  });
  window.start();
  const { frameCount, durationMs } = await window.result;
  const recordCount = frameCount * recordsPerCall;
  return { recordCount, bytes: recordCount * recordBytes, durationMs };
}

/** What is due at once goes with one call of `send`, whose answer counts for each of its records. */
async function openLoop({ producer, topic, seconds, settings, pool }: Load, ratePerSecond: number): Promise<Sample> {
  const latencies = new Latencies();
  const warmUpCount = Math.ceil((LATENCY_WARM_UP_MS * ratePerSecond) / 1000);
  const recordCount = warmUpCount + Math.ceil(seconds * ratePerSecond);
  const schedule = { startMs: performance.now(), ratePerSecond, recordCount };
  await sendAtRate(schedule, async (from, until) => {
    await producer.send(topic, pool.take(until - from));
    for (let index = Math.max(from, warmUpCount); index < until; index += 1) latencies.record(dueMs(schedule, index));
  });
  const countedMs = performance.now() - dueMs(schedule, warmUpCount);
  const counted = recordCount - warmUpCount;
  return {
    recordCount: counted,
    bytes: counted * settings.recordBytes,
    durationMs: countedMs,
    latencies: latencies.encode(),
  };
}
