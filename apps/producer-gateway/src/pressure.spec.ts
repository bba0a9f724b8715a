/** What a gateway holds at most, for whom, and that it gives all of it back. Brokers that never answer stand for slow ones. */
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import { ProduceRequest, ProducerServiceService, ProduceStreamRequest } from '@partita/protocol';
import type { ProduceFrameResult } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary, ChannelPool, openBidi } from '@partita/rpc/client';
import type { RunningService } from '@partita/runtime';
import { MetricRegistry } from '@partita/telemetry';
import { metricValue } from '@partita/testkit';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startGateway } from './gateway.ts';
import { routeOf } from './testing/route.ts';
import { gatewayConfig, LOGGER, SpecBroker, SpecCoordinator } from './testing/spec-cluster.ts';

const KIB = 1024;
const VALUE = 'x'.repeat(10 * KIB);
/** Partition 0 is led by the slow broker, 1 by the other. */
const SLOW = 0;
const QUICK = 1;

let coordinator: SpecCoordinator;
let slow: SpecBroker;
let quick: SpecBroker;
let gateway: RunningService;
let address: string;
let metrics: MetricRegistry;
const pools: ChannelPool[] = [];

beforeEach(async () => {
  coordinator = await new SpecCoordinator().start();
  slow = await new SpecBroker(1).start();
  quick = await new SpecBroker(2).start();
  slow.judge = () => 'silence';
  const route = routeOf('orders', 2);
  const [, second] = route.partitions;
  second!.leaderId = 2;
  coordinator.tell([route], [slow, quick]);
  metrics = new MetricRegistry();
  gateway = await startGateway({
    config: {
      ...gatewayConfig(coordinator.address),
      bytesInFlightMax: 800 * KIB,
      clientBytesInFlightMax: 400 * KIB,
      connectionBytesInFlightMax: 300 * KIB,
      leaderBytesInFlightMax: 250 * KIB,
    },
    logger: LOGGER,
    tracing: 'off',
    metrics,
    instanceId: '00000000-0000-7000-8000-0000000000ab',
    fail: () => undefined,
  });
  address = String(gateway.ready['address']);
  await produceTo(newPool('first'), QUICK);
});

afterEach(async () => {
  for (const pool of pools.splice(0)) pool.close();
  await gateway.close();
  for (const each of [slow, quick, coordinator]) each.close();
});

/** A client with connections of its own. */
function newPool(clientId: string): ChannelPool {
  const pool = new ChannelPool({ clientId });
  pools.push(pool);
  return pool;
}

function request(partition: number, value = VALUE): ProduceRequest {
  return ProduceRequest.fromPartial({ topic: 'orders', partition, records: [{ value: Buffer.from(value) }] });
}

interface CallOptions {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

function produceTo(pool: ChannelPool, partition: number, { deadlineMs = 10_000, signal }: CallOptions = {}) {
  return callUnary(pool.client(address), ProducerServiceService.produce, request(partition), {
    deadlineMs,
    signal,
    append: true,
  });
}

/** Sends to the partition until one call is refused; the others stay under way. */
async function fill(pool: ChannelPool, partition: number, options?: CallOptions) {
  const pending: Promise<unknown>[] = [];
  let refusal: PartitaError | undefined;
  for (let count = 0; refusal === undefined && count < 100; count += 1) {
    const before = heldBytes();
    const call = produceTo(pool, partition, options);
    pending.push(call.catch((error: unknown) => error));
    call.catch((error: unknown) => {
      if (error instanceof PartitaError && error.reason === 'QUEUE_FULL') refusal ??= error;
    });
    await until(() => refusal !== undefined || heldBytes() > before);
  }
  if (refusal === undefined) throw new Error('nothing was shed');
  return { pending, refusal };
}

const until = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 5000, interval: 1 });
const heldBytes = (): number => metricValue(metrics, 'partita.gateway.queue.bytes') ?? 0;
const shedBy = (limit: string): number => metricValue(metrics, 'partita.gateway.shed', { limit }) ?? 0;

function openStream(pool: ChannelPool) {
  const results: ProduceFrameResult[] = [];
  const stream = openBidi(pool.client(address), ProducerServiceService.produceStream, {
    onMessage: ({ message }) => {
      if (message?.$case === 'result') results.push(message.result);
    },
  });
  const send = (message: Parameters<typeof ProduceStreamRequest.fromPartial>[0]['message']): void =>
    void stream.send(ProduceStreamRequest.fromPartial({ message }));
  send({ $case: 'initial', initial: {} });
  return { stream, send, results };
}

function reasonOf(result: ProduceFrameResult | undefined): PartitaError | undefined {
  return result?.outcome?.$case === 'error' ? fromRpcStatus(result.outcome.error) : undefined;
}

function batch(): Buffer {
  const builder = new BatchBuilder();
  builder.tryAdd({ value: Buffer.from(VALUE), timestampMs: 1000n });
  return builder.build({ codec: CODEC_NONE });
}

test('a slow broker has no more than its share; what is for other brokers goes on, of the same client and connection', async () => {
  const pool = newPool('one');
  const { pending, refusal } = await fill(pool, SLOW);
  expect(refusal).toMatchObject({ metadata: { queue: 'leader', broker_id: '1' } });
  expect(refusal.retryAfterMs).toBeGreaterThan(0);
  for (let count = 0; count < 20; count += 1) await produceTo(pool, QUICK);
  expect(quick.values.get(QUICK)).toHaveLength(21);
  expect(shedBy('leader')).toBe(1);
  // What was taken is not lost for it.
  slow.judge = () => 'store';
  slow.answerSilent();
  await Promise.all(pending);
  expect(slow.values.get(SLOW)).toHaveLength(pending.length - 1);
  expect(heldBytes()).toBe(0);
});

test('a request for both brokers is stored where it can be', async () => {
  const pool = newPool('one');
  await fill(pool, SLOW);
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const records = keys.map((key) => ({ key: Buffer.from(key), value: Buffer.alloc(5 * KIB) }));
  const wanted = ProduceRequest.fromPartial({ topic: 'orders', records });
  const { results } = await callUnary(pool.client(address), ProducerServiceService.produce, wanted, {
    deadlineMs: 5000,
    append: true,
  });
  const outcomes = new Map(results.map(({ partition, outcome }) => [partition, outcome]));
  expect(outcomes.get(QUICK)?.$case).toBe('ack');
  const refused = outcomes.get(SLOW);
  expect(refused?.$case === 'error' && fromRpcStatus(refused.error)).toMatchObject({ reason: 'QUEUE_FULL' });
});

test('a greedy client is held by its limit, and another one gets through meanwhile', async () => {
  quick.judge = () => 'silence';
  const greedy = [newPool('greedy'), newPool('greedy')];
  const taken: Promise<unknown>[] = [];
  for (const pool of greedy)
    for (const partition of [SLOW, QUICK]) taken.push(...(await fill(pool, partition)).pending);
  expect(heldBytes()).toBeLessThanOrEqual(400 * KIB);
  const modest = produceTo(newPool('modest'), QUICK);
  for (const broker of [slow, quick]) {
    broker.judge = () => 'store';
    broker.answerSilent();
  }
  await expect(modest).resolves.toMatchObject({ results: [{ outcome: { $case: 'ack' } }] });
  const answers = await Promise.all(taken);
  expect(answers.filter((answer) => answer instanceof PartitaError)).toHaveLength(4);
  expect(heldBytes()).toBe(0);
});

test('frames and batches of a stream are shed in-band, and the stream goes on', async () => {
  const { stream, send, results } = openStream(newPool('streaming'));
  const frame = (frameId: number, partition: number): void =>
    send({ $case: 'produce', produce: { frameId: BigInt(frameId), request: request(partition) } });
  const batchFrame = (frameId: number, partition: number): void =>
    send({ $case: 'batch', batch: { frameId: BigInt(frameId), topic: 'orders', partition, recordBatches: batch() } });
  let next = 1;
  for (const send of [frame, batchFrame]) {
    const before = results.length;
    for (let count = 0; count < 40; count += 1) send(next++, SLOW);
    await until(() => results.length > before);
    expect(reasonOf(results.at(-1))).toMatchObject({ reason: 'QUEUE_FULL', metadata: { queue: 'leader' } });
    send(next, QUICK);
    const quickId = BigInt(next++);
    await until(() => results.some(({ frameId, outcome }) => frameId === quickId && outcome?.$case === 'response'));
  }
  slow.judge = () => 'store';
  slow.answerSilent();
  await until(() => results.length === next - 1);
  expect(heldBytes()).toBe(0);
  stream.cancel();
});

test('everything is given back after refusals', async () => {
  slow.judge = () => new PartitaError('CORRUPT_BATCH', 'no');
  const pool = newPool('refused');
  for (let count = 0; count < 60; count += 1) await expect(produceTo(pool, SLOW)).rejects.toThrow('no');
  await expect(produceTo(pool, 9)).rejects.toMatchObject({ reason: 'PARTITION_NOT_FOUND' });
  const { send, results, stream } = openStream(pool);
  send({ $case: 'batch', batch: { frameId: 1n, topic: 'orders', partition: 9, recordBatches: batch() } });
  send({ $case: 'batch', batch: { frameId: 2n, topic: 'nowhere', partition: 0, recordBatches: batch() } });
  await until(() => results.length === 2);
  expect(heldBytes()).toBe(0);
  stream.cancel();
});

test('what is cancelled or too late is given back, and is not sent where it still waited for a batch', async () => {
  const pool = newPool('hasty');
  // The first is on its way and stays; the others wait for the next batch.
  const first = produceTo(pool, SLOW).catch((error: unknown) => error);
  await until(() => slow.entries.length === 1);
  const alone = heldBytes();
  const controller = new AbortController();
  const cancelled = produceTo(pool, SLOW, { signal: controller.signal });
  const late = produceTo(pool, SLOW, { deadlineMs: 250 });
  cancelled.catch(() => undefined);
  late.catch(() => undefined);
  await until(() => heldBytes() >= 3 * alone);
  controller.abort();
  await expect(cancelled).rejects.toThrow();
  // Refused by the gateway ahead of the deadline, and so with certainty.
  await expect(late).rejects.toMatchObject({ reason: 'TIMED_OUT' });
  slow.judge = () => 'store';
  slow.answerSilent();
  await first;
  await until(() => heldBytes() === 0);
  expect(slow.values.get(SLOW)).toHaveLength(1);
});

test('a batch of a client that waited behind others past its deadline is refused with certainty', async () => {
  const { send, results, stream } = openStream(newPool('batches'));
  const frame = (frameId: bigint, timeoutMs: number): void =>
    send({
      $case: 'batch',
      batch: { frameId, topic: 'orders', partition: SLOW, recordBatches: batch(), timeoutMs },
    });
  // Without a session they go one by one.
  frame(1n, 10_000);
  frame(2n, 100);
  await until(() => results.length === 1);
  expect(results[0]?.frameId).toBe(2n);
  expect(reasonOf(results[0])).toMatchObject({ reason: 'TIMED_OUT' });
  slow.judge = () => 'store';
  slow.answerSilent();
  await until(() => results.length === 2);
  expect(slow.entries).toHaveLength(1);
  expect(heldBytes()).toBe(0);
  stream.cancel();
});

test('a gateway that drains answers everything that it took', async () => {
  slow.judge = () => 'silence';
  const pool = newPool('under way');
  const { pending } = await fill(pool, SLOW);
  const draining = gateway.drain();
  await until(() => coordinator.heartbeats.some((heartbeat) => heartbeat.draining));
  slow.judge = () => 'store';
  slow.answerSilent();
  const answers = await Promise.all(pending);
  await draining;
  const stored = answers.filter((answer) => !(answer instanceof PartitaError)).length;
  expect(stored).toBe(pending.length - 1);
  expect(slow.values.get(SLOW)).toHaveLength(stored);
  expect(heldBytes()).toBe(0);
});
