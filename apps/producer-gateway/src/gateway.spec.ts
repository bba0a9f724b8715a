import { BatchBuilder, CODEC_NONE, keyHash, producerSequenceAt } from '@partita/batch';
import type { BatchFraming } from '@partita/batch';
import { partitionOfHash } from '@partita/client';
import { asPartitaError, PartitaError, STREAM_FRAMES_IN_FLIGHT_COUNT_MAX } from '@partita/domain';
import { ProduceBatchFrame, ProduceRequest, ProducerServiceService, ProduceStreamRequest } from '@partita/protocol';
import type { ProduceFrameResult, ProduceResponse, ProduceStreamResponse } from '@partita/protocol';
import { fromRpcStatus, outcomeOf } from '@partita/rpc';
import { callUnary, ChannelPool, openBidi } from '@partita/rpc/client';
import { ExitError } from '@partita/runtime';
import type { RunningService } from '@partita/runtime';
import { MetricRegistry } from '@partita/telemetry';
import { metricValue } from '@partita/testkit';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startGateway } from './gateway.ts';
import { routeOf } from './testing/route.ts';
import { gatewayConfig, LOGGER, SpecBroker, SpecCoordinator } from './testing/spec-cluster.ts';

const INSTANCE_ID = '00000000-0000-7000-8000-0000000000aa';

let coordinator: SpecCoordinator;
let one: SpecBroker;
let two: SpecBroker;
let pool: ChannelPool;
let gateway: RunningService | undefined;
let address: string;
let metrics: MetricRegistry;
const failures: unknown[] = [];

beforeEach(async () => {
  coordinator = await new SpecCoordinator().start();
  one = await new SpecBroker(1).start();
  two = await new SpecBroker(2).start();
  coordinator.tell([routeOf('orders', 3)], [one, two]);
  pool = new ChannelPool();
  failures.length = 0;
  metrics = new MetricRegistry();
});

afterEach(async () => {
  pool.close();
  await gateway?.close();
  gateway = undefined;
  for (const each of [one, two, coordinator]) each.close();
});

async function start(): Promise<void> {
  gateway = await startGateway({
    config: gatewayConfig(coordinator.address),
    logger: LOGGER,
    tracing: 'off',
    metrics,
    instanceId: INSTANCE_ID,
    fail: (error) => void failures.push(error),
  });
  address = String(gateway.ready['address']);
}

const until = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 5000, interval: 5 });

function request(values: readonly string[], more: Partial<ProduceRequest> = {}): ProduceRequest {
  const records = values.map((value) => ({ value: Buffer.from(value) }));
  return ProduceRequest.fromPartial({ topic: 'orders', partition: 0, records, ...more });
}

function batchOf(value: string, session: Partial<BatchFraming>): Buffer {
  const builder = new BatchBuilder();
  builder.tryAdd({ value: Buffer.from(value), timestampMs: 1000n });
  return builder.build({ codec: CODEC_NONE, ...session });
}

function produce(wanted: ProduceRequest, deadlineMs = 5000): Promise<ProduceResponse> {
  return callUnary(pool.client(address), ProducerServiceService.produce, wanted, { deadlineMs, append: true });
}

/** A ProduceStream with what it has received. */
function openStream({ initial = true } = {}) {
  const messages: NonNullable<ProduceStreamResponse['message']>[] = [];
  const stream = openBidi(pool.client(address), ProducerServiceService.produceStream, {
    onMessage: ({ message }) => {
      if (message !== undefined) messages.push(message);
    },
  });
  const send = (message: Parameters<typeof ProduceStreamRequest.fromPartial>[0]['message']): void =>
    void stream.send(ProduceStreamRequest.fromPartial({ message }));
  if (initial) send({ $case: 'initial', initial: {} });
  const results = (): ProduceFrameResult[] =>
    messages.flatMap((message) => (message.$case === 'result' ? [message.result] : []));
  const frame = (frameId: number, value: string, more: Partial<ProduceRequest> = {}): void =>
    send({ $case: 'produce', produce: { frameId: BigInt(frameId), request: request([value], more) } });
  return { stream, send, frame, messages, results };
}

/** `ack`, or the reason of the refusal, of a frame. */
function outcome(result: ProduceFrameResult | undefined): string {
  if (result?.outcome?.$case !== 'error') return result?.outcome === undefined ? 'nothing' : 'ack';
  return fromRpcStatus(result.outcome.error).reason;
}

describe('Produce', () => {
  beforeEach(start);

  test('stores records on the leader and tells where', async () => {
    const { results } = await produce(request(['a', 'b']));
    expect(results).toMatchObject([
      { partition: 0, recordIndexes: [0, 1], outcome: { ack: { baseOffset: 0n, recordCount: 2 } } },
    ]);
    expect(one.values.get(0)).toEqual(['a', 'b']);
    const again = await produce(request(['c']));
    expect(again.results[0]?.outcome).toMatchObject({ ack: { baseOffset: 2n } });
  });

  test('keeps the records of a key in one partition, in order', async () => {
    const keyed = (value: string) => ({ key: Buffer.from('k'), value: Buffer.from(value) });
    for (const value of ['1', '2', '3'])
      await produce(ProduceRequest.fromPartial({ topic: 'orders', records: [keyed(value)] }));
    expect([...one.values.values()]).toEqual([['1', '2', '3']]);
  });

  test('refuses a topic that does not exist, and says how to make it', async () => {
    const failed = produce(request(['a'], { topic: 'nowhere' }));
    await expect(failed).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    await expect(failed).rejects.toThrow('npx partita topic create nowhere');
  });

  test('goes on at the leader that a broker names instead of itself', async () => {
    await produce(request(['before']));
    const { topicId } = routeOf('orders', 3);
    one.judge = () =>
      new PartitaError('NOT_LEADER', 'moved', { topic_id: topicId, partition: '0', leader: '2', leader_epoch: '2' });
    await produce(request(['after']));
    expect(one.values.get(0)).toEqual(['before']);
    expect(two.values.get(0)).toEqual(['after']);
    expect(two.entries[0]?.leaderEpoch).toBe(2);
  });

  test('sends an append again that the leader broke off, under the same number of its own session', async () => {
    one.judge = () => 'silence';
    const producing = produce(request(['a']));
    await until(() => one.entries.length === 1);
    one.judge = () => 'store';
    for (const stream of one.streams) stream.end(new PartitaError('INTERNAL', 'broken'));
    await producing;
    const [first, second] = one.entries.map(({ recordBatches }) => producerSequenceAt(recordBatches, 0));
    expect(first).toBeDefined();
    expect(second).toEqual(first);
    await produce(request(['b']));
    expect(producerSequenceAt(one.entries[2]!.recordBatches, 0)).toMatchObject({
      producerId: first?.producerId,
      firstSequence: 1n,
    });
  });

  test('says OUTCOME_UNKNOWN when the outcome cannot be learned in time', async () => {
    one.judge = () => 'silence';
    const producing = produce(request(['a']), 400);
    producing.catch(() => undefined);
    await until(() => one.entries.length === 1);
    one.judge = () => new PartitaError('NOT_ENOUGH_REPLICAS', 'too few', {}, { retryAfterMs: 20 });
    for (const stream of one.streams) stream.end(new PartitaError('INTERNAL', 'broken'));
    await expect(producing).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });
});

describe('ProduceStream', () => {
  beforeEach(start);

  test('answers each frame, and keeps the order of each partition', async () => {
    const { stream, frame, results, messages } = openStream();
    for (let id = 0; id < 60; id++) frame(id, String(id), { partition: id % 3 });
    await until(() => results().length === 60);
    expect(messages[0]?.$case).toBe('ready');
    expect(results().map(outcome)).toEqual(Array(60).fill('ack'));
    for (const partition of [0, 1, 2]) {
      const expected = Array.from({ length: 20 }, (_, index) => String(3 * index + partition));
      expect(one.values.get(partition)).toEqual(expected);
    }
    stream.end();
    expect(await stream.closed).toBeUndefined();
  });

  test('passes a batch of the client on as it is', async () => {
    const builder = new BatchBuilder();
    for (const value of ['a', 'b']) builder.tryAdd({ value: Buffer.from(value), timestampMs: 1000n });
    const recordBatches = builder.build({ codec: CODEC_NONE });
    const { send, results, stream } = openStream();
    send({ $case: 'batch', batch: { frameId: 1n, topic: 'orders', partition: 2, recordBatches } });
    await until(() => results().length === 1);
    expect(results()[0]?.outcome).toMatchObject({ response: { results: [{ outcome: { ack: { recordCount: 2 } } }] } });
    expect(one.values.get(2)).toEqual(['a', 'b']);
    expect(Buffer.compare(one.entries[0]!.recordBatches, recordBatches)).toBe(0);
    stream.cancel();
  });

  test('refuses one frame in-band and goes on with the others', async () => {
    const { frame, results, stream } = openStream();
    frame(1, 'a', { topic: 'nowhere' });
    frame(2, 'b');
    frame(3, 'c', { partition: 9 });
    await until(() => results().length === 3);
    const outcomes = new Map(results().map((result) => [result.frameId, outcome(result)]));
    expect(outcomes).toEqual(
      new Map([
        [1n, 'TOPIC_NOT_FOUND'],
        [2n, 'ack'],
        [3n, 'PARTITION_NOT_FOUND'],
      ]),
    );
    stream.cancel();
  });

  test('refuses what is more than `ready` allows in flight, and takes frames again when there is room', async () => {
    one.judge = () => 'silence';
    const { frame, results, stream } = openStream();
    for (let id = 0; id <= STREAM_FRAMES_IN_FLIGHT_COUNT_MAX; id++) frame(id, String(id));
    await until(() => results().length === 1);
    expect(results()[0]?.frameId).toBe(BigInt(STREAM_FRAMES_IN_FLIGHT_COUNT_MAX));
    expect(outcome(results()[0])).toBe('LIMIT_EXCEEDED');
    one.judge = () => 'store';
    one.answerSilent();
    await until(() => results().length === STREAM_FRAMES_IN_FLIGHT_COUNT_MAX + 1);
    frame(1000, 'more');
    await until(() => results().length === STREAM_FRAMES_IN_FLIGHT_COUNT_MAX + 2);
    expect(outcome(results().at(-1))).toBe('ack');
    stream.cancel();
  });

  test('hands doubt about a batch without a session back, and does not send it twice', async () => {
    one.judge = () => 'silence';
    const { send, results, stream } = openStream();
    send({ $case: 'batch', batch: { frameId: 1n, topic: 'orders', partition: 2, recordBatches: batchOf('a', {}) } });
    await until(() => one.entries.length === 1);
    for (const each of one.streams) each.end(new PartitaError('INTERNAL', 'broken'));
    await until(() => results().length === 1);
    expect(outcome(results()[0])).toBe('OUTCOME_UNKNOWN');
    expect(one.entries).toHaveLength(1);
    stream.cancel();
  });

  test('sends batches of a session again that are in doubt, in their order, and those of another beside them', async () => {
    one.judge = () => 'silence';
    const { send, results, stream } = openStream();
    const producerId = Buffer.alloc(16, 7);
    const batches = ['a', 'b'].map((value, index) =>
      batchOf(value, { producerId, producerEpoch: 0, firstSequence: BigInt(index) }),
    );
    const other = batchOf('c', { producerId: Buffer.alloc(16, 8), producerEpoch: 0, firstSequence: 0n });
    for (const [index, recordBatches] of [...batches, other].entries()) {
      send({ $case: 'batch', batch: { frameId: BigInt(index), topic: 'orders', partition: 2, recordBatches } });
    }
    await until(() => one.entries.length === 3);
    one.judge = () => 'store';
    for (const each of one.streams) each.end(new PartitaError('INTERNAL', 'broken'));
    await until(() => results().length === 3);
    expect(results().map(outcome)).toEqual(['ack', 'ack', 'ack']);
    expect(one.values.get(2)?.filter((value) => value !== 'c')).toEqual(['a', 'b']);
    stream.cancel();
  });

  test('refuses a batch whose keys belong to another partition, unless the client chose it', async () => {
    const { send, results, stream } = openStream();
    const key = Buffer.from('k');
    const home = partitionOfHash(routeOf('orders', 3), keyHash(key));
    const builder = new BatchBuilder();
    builder.tryAdd({ key, value: Buffer.from('a'), timestampMs: 1000n });
    const batch = { topic: 'orders', partition: (home + 1) % 3, recordBatches: builder.build({ codec: CODEC_NONE }) };
    send({ $case: 'batch', batch: { ...batch, frameId: 1n } });
    send({ $case: 'batch', batch: { ...batch, frameId: 2n, partitionChosen: true } });
    send({ $case: 'batch', batch: { ...batch, frameId: 3n, partition: home } });
    await until(() => results().length === 3);
    const outcomes = new Map(results().map((result) => [result.frameId, outcome(result)]));
    expect([1n, 2n, 3n].map((id) => outcomes.get(id))).toEqual(['INVALID_BATCH', 'ack', 'ack']);
    stream.cancel();
  });

  test('refuses a batch for a topic that has another id now', async () => {
    const { send, results, stream } = openStream();
    const batch = { topic: 'orders', partition: 0, recordBatches: batchOf('a', {}) };
    send({ $case: 'batch', batch: { ...batch, frameId: 1n, topicId: '00000000-0000-7000-8000-0000000000ff' } });
    await until(() => results().length === 1);
    expect(outcome(results()[0])).toBe('TOPIC_NOT_FOUND');
    stream.cancel();
  });

  test.each([
    ['a frame before initial', (s: ReturnType<typeof openStream>) => s.frame(1, 'a'), false],
    ['a second initial', (s: ReturnType<typeof openStream>) => s.send({ $case: 'initial', initial: {} }), true],
    ['a message without content', (s: ReturnType<typeof openStream>) => s.send(undefined), true],
  ])('ends with STREAM_ORDER after %s', async (_what, act, initial) => {
    const opened = openStream({ initial });
    act(opened);
    expect(await opened.stream.closed).toMatchObject({ reason: 'STREAM_ORDER' });
  });

  test('is told when the gateway drains; what was sent is answered before it ends', async () => {
    one.judge = () => 'silence';
    const { stream, frame, results, messages } = openStream();
    frame(1, 'a');
    await until(() => one.entries.length === 1);
    const draining = gateway?.drain();
    await until(() => messages.some(({ $case }) => $case === 'draining'));
    await until(() => coordinator.heartbeats.some((heartbeat) => heartbeat.draining));
    const late = await produce(request(['late'])).catch((error: unknown) => error);
    expect(outcomeOf(asPartitaError(late))).toBe('rejected');
    stream.end();
    one.answerSilent();
    expect(await stream.closed).toBeUndefined();
    expect(results().map(outcome)).toEqual(['ack']);
    await draining;
  });
});

describe('the session with the coordinator', () => {
  test('tells the address of the gateway', async () => {
    await start();
    await until(() => coordinator.registered.length === 1);
    expect(coordinator.registered[0]).toMatchObject({ instanceId: INSTANCE_ID, address, protocolVersion: 1 });
  });

  test('ends the process with code 4 when the cluster refuses the gateway', async () => {
    coordinator.refusal = new PartitaError('VERSION_NOT_SUPPORTED', 'run the same release everywhere');
    await start();
    await until(() => failures.length === 1);
    expect(failures[0]).toBeInstanceOf(ExitError);
    expect(failures[0]).toMatchObject({ code: 4 });
  });
});

describe('metrics', () => {
  beforeEach(start);
  const read = (name: string, labels?: Readonly<Record<string, string>>) =>
    metricValue(metrics, `partita.gateway.${name}`, labels);

  test('count what was acknowledged, in which form, and the batches that were built', async () => {
    await produce(request(['a', 'bc']));
    const { frame, send, results } = openStream();
    frame(1, 'd');
    await until(() => results().length === 1);
    const batch = {
      frameId: 2n,
      topic: 'orders',
      partition: 1,
      partitionChosen: true,
      recordBatches: batchOf('e', {}),
    };
    send({ $case: 'batch', batch: ProduceBatchFrame.fromPartial(batch) });
    await until(() => results().length === 2);

    expect(read('produce.records', { topic: 'orders' })).toBe(4);
    expect(read('produce.bytes', { topic: 'orders' })).toBeGreaterThan(batch.recordBatches.byteLength + 4);
    for (const form of ['unary', 'stream', 'batch']) expect(read('produce.duration', { form }), form).toBe(1);
    // The last one came as a batch.
    expect(read('batch.records')).toBe(2);
    expect(read('batch.bytes')).toBe(2);
    expect(read('retries', { reason: 'LEADER_NOT_AVAILABLE' })).toBeUndefined();
    expect(read('queue.bytes')).toBe(0);
  });

  test('count errors by reason, each once, and nothing as acknowledged', async () => {
    await expect(produce(request(['a'], { topic: 'nowhere' }))).rejects.toThrow();
    one.judge = () => new PartitaError('CORRUPT_BATCH', 'no');
    await expect(produce(request(['a', 'b']))).rejects.toThrow();
    expect(read('produce.errors', { reason: 'TOPIC_NOT_FOUND' })).toBe(1);
    expect(read('produce.errors', { reason: 'CORRUPT_BATCH' })).toBe(1);
    expect(read('produce.duration', { form: 'unary' })).toBe(2);
    expect(read('produce.records', { topic: 'orders' })).toBeUndefined();
  });

  test('count what of a request was stored, and what was not, when one partition refuses', async () => {
    one.judge = ({ partition }) => (partition === 0 ? new PartitaError('CORRUPT_BATCH', 'no') : 'store');
    const records = Array.from({ length: 64 }, (_, index) => ({
      key: Buffer.from(`k${index}`),
      value: Buffer.from('v'),
    }));
    const { results } = await produce(ProduceRequest.fromPartial({ topic: 'orders', records }));
    const failed = results.find(({ partition }) => partition === 0)?.recordIndexes.length ?? 0;
    expect(failed).toBeGreaterThan(0);
    expect(read('produce.records', { topic: 'orders' })).toBe(64 - failed);
    expect(read('produce.errors', { reason: 'CORRUPT_BATCH' })).toBe(1);
  });

  test('show what waits for an answer, and count what is sent again', async () => {
    let isAway = true;
    one.judge = () =>
      isAway ? new PartitaError('LEADER_NOT_AVAILABLE', 'not yet', {}, { retryAfterMs: 10 }) : 'store';
    const produced = produce(request(['patient']));
    await until(() => (read('retries', { reason: 'LEADER_NOT_AVAILABLE' }) ?? 0) >= 2);
    expect(read('queue.bytes')).toBeGreaterThan(0);
    isAway = false;
    await produced;
    expect(read('retries', { reason: 'LEADER_NOT_AVAILABLE' })).toBe(one.entries.length - 1);
    expect(read('queue.bytes')).toBe(0);
    expect(read('produce.errors', { reason: 'LEADER_NOT_AVAILABLE' })).toBeUndefined();
  });
});
