/**
 * The loads of the telemetry bench. The process traces as its environment says. Producer and consumer stay from one job to
 * the next: what is measured is their work, not that a group gathers.
 */
import { randomUUID } from 'node:crypto';
import { connect, pause } from '@partita/client';
import type { PartitaClient, Producer } from '@partita/client';
import { Acks, ProduceRequest, ProducerServiceService, ServiceKind } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { createLogger, PRODUCT_VERSION, startTelemetry } from '@partita/runtime';
import type { Telemetry } from '@partita/runtime';
import type { Job, Sample } from '../sample.ts';
import { RECORD_BYTES } from '../workload.ts';
import type { LoadRunner } from './load-runner.ts';
import { sendAtRate } from './open-loop.ts';
import { OrderPool } from './order-pool.ts';
import { SendWindow } from './send-window.ts';
import { plainRecord } from './test-records.ts';

/** Records under way in the closed loop, which finds out how many the cluster takes. */
const IN_FLIGHT_MAX = { batches: 4000, unary: 32 } as const;
const ARRIVAL_MS_MAX = 20_000;
const TICK_MS = 1;
const KEY_COUNT = 64;

/** A producer of one topic, and a member of a group that reads along. */
interface BatchWork {
  readonly producer: Producer;
  /** Resolves when so many records have arrived since the beginning; rejects when they do not. */
  readonly arrived: (count: number) => Promise<void>;
  sent: number;
}

export class TelemetryLoads implements LoadRunner {
  readonly #client: PartitaClient;
  readonly #pool: ChannelPool;
  readonly #gateway: string;
  readonly #orders = new OrderPool(RECORD_BYTES);
  /** With different keys. */
  readonly #records = Array.from({ length: KEY_COUNT }, plainRecord);
  #calls = 0;
  readonly #works = new Map<string, Promise<BatchWork>>();

  private constructor(client: PartitaClient, pool: ChannelPool, gateway: string) {
    this.#client = client;
    this.#pool = pool;
    this.#gateway = gateway;
  }

  static async connect(servers: readonly string[]): Promise<TelemetryLoads> {
    const { tracing } = await startTracing();
    const client = await connect({ servers, clientId: 'partita-bench' });
    const { endpoints } = await client.admin.getCluster();
    const gateway = endpoints.find(({ service }) => service === ServiceKind.SERVICE_KIND_GATEWAY)?.address;
    if (gateway === undefined) throw new Error('the cluster names no gateway; is one running?');
    return new TelemetryLoads(client, new ChannelPool({ clientId: 'partita-bench', tracing }), gateway);
  }

  async run({ topic, seconds, telemetry: job }: Job): Promise<Sample> {
    if (job === undefined) throw new Error('the job does not say what to do');
    const { load, ratePerSecond } = job;
    const work = load === 'batches' ? await this.#batchWork(topic) : undefined;
    const send = work === undefined ? () => this.#call(topic) : () => this.#send(topic, work);
    const startMs = performance.now();
    const recordCount =
      ratePerSecond === undefined
        ? await asManyAsGo(seconds, IN_FLIGHT_MAX[load], send)
        : await atRate(seconds, ratePerSecond, send);
    await work?.arrived(work.sent);
    return { recordCount, bytes: recordCount * RECORD_BYTES, durationMs: performance.now() - startMs };
  }

  #send(topic: string, work: BatchWork): Promise<unknown> {
    work.sent += 1;
    // One record for each call: so the sampler is asked about every one of them.
    return work.producer.send(topic, this.#orders.take(1));
  }

  #call(topic: string): Promise<unknown> {
    const record = this.#records[this.#calls % this.#records.length] ?? plainRecord();
    this.#calls += 1;
    const request = ProduceRequest.fromPartial({ topic, records: [record], acks: Acks.ACKS_ALL });
    return callUnary(this.#pool.client(this.#gateway), ProducerServiceService.produce, request, { append: true });
  }

  #batchWork(topic: string): Promise<BatchWork> {
    const work = this.#works.get(topic) ?? beginBatchWork(this.#client, topic);
    this.#works.set(topic, work);
    return work;
  }
}

/** The process's own, by its environment. */
function startTracing(): Promise<Telemetry> {
  const instance = String(process.pid);
  const logger = createLogger({ service: 'bench', instance, level: 'warn' });
  return startTelemetry({ service: 'bench', version: PRODUCT_VERSION, instance, env: process.env, logger });
}

/** Resolves when the member has all partitions. */
async function beginBatchWork(client: PartitaClient, topic: string): Promise<BatchWork> {
  const { partitions } = await client.admin.getTopic(topic);
  const assigned = new Set<number>();
  let received = 0;
  const consumer = client.consumer({
    group: `bench-${randomUUID()}`,
    topics: [topic],
    from: 'earliest',
    onAssigned: (names) => names.forEach(({ partition }) => assigned.add(partition)),
  });
  const running = consumer.run(() => {
    received += 1;
  });
  running.catch(() => undefined);
  const until = async (condition: () => boolean): Promise<void> => {
    const untilMs = performance.now() + ARRIVAL_MS_MAX;
    while (!condition()) {
      if (performance.now() > untilMs) throw new Error('the records did not arrive in time');
      await Promise.race([pause(TICK_MS), running]);
    }
  };
  await until(() => assigned.size === partitions.length);
  return { producer: client.producer(), arrived: (count) => until(() => received >= count), sent: 0 };
}

async function asManyAsGo(seconds: number, inFlightMax: number, send: () => Promise<unknown>): Promise<number> {
  const window = new SendWindow({
    seconds,
    inFlightMax,
    send: () => {
      send().then(
        () => window.answered(),
        (error: unknown) => window.fail(error as Error),
      );
    },
  });
  window.start();
  const { frameCount } = await window.result;
  return frameCount;
}

async function atRate(seconds: number, ratePerSecond: number, send: () => Promise<unknown>): Promise<number> {
  const recordCount = Math.ceil(seconds * ratePerSecond);
  await sendAtRate({ startMs: performance.now(), ratePerSecond, recordCount }, (from, until) =>
    Promise.all(Array.from({ length: until - from }, send)),
  );
  return recordCount;
}
