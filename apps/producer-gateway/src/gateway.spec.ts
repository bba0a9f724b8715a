import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { asPartitaError, PartitaError, STREAM_FRAMES_IN_FLIGHT_COUNT_MAX } from '@partita/domain';
import { ProduceRequest, ProducerServiceService, ProduceStreamRequest } from '@partita/protocol';
import type { ProduceFrameResult, ProduceResponse, ProduceStreamResponse } from '@partita/protocol';
import { fromRpcStatus, outcomeOf } from '@partita/rpc';
import { callUnary, ChannelPool, openBidi } from '@partita/rpc/client';
import { ExitError } from '@partita/runtime';
import type { RunningService } from '@partita/runtime';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startGateway } from './gateway.ts';
import { routeOf } from './testing/route.ts';
import { LOGGER, SpecBroker, SpecCoordinator } from './testing/spec-cluster.ts';

const INSTANCE_ID = '00000000-0000-7000-8000-0000000000aa';

let coordinator: SpecCoordinator;
let one: SpecBroker;
let two: SpecBroker;
let pool: ChannelPool;
let gateway: RunningService | undefined;
let address: string;
const failures: unknown[] = [];

beforeEach(async () => {
  coordinator = await new SpecCoordinator().start();
  one = await new SpecBroker(1).start();
  two = await new SpecBroker(2).start();
  coordinator.tell([routeOf('orders', 3)], [one, two]);
  pool = new ChannelPool();
  failures.length = 0;
});

afterEach(async () => {
  pool.close();
  await gateway?.close();
  gateway = undefined;
  for (const each of [one, two, coordinator]) each.close();
});

async function start(): Promise<void> {
  const [host = '', port] = coordinator.address.split(':');
  gateway = await startGateway({
    config: {
      listen: { host: '127.0.0.1', port: 0 },
      advertise: undefined,
      coordinators: [{ host, port: Number(port) }],
      insecure: false,
      logLevel: 'info',
    },
    logger: LOGGER,
    tracing: false,
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

  test('says OUTCOME_UNKNOWN when the leader breaks off under an append, and does not send it twice', async () => {
    one.judge = () => 'silence';
    const producing = produce(request(['a']));
    producing.catch(() => undefined);
    await until(() => one.entries.length === 1);
    for (const stream of one.streams) stream.end(new PartitaError('INTERNAL', 'broken'));
    await expect(producing).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    expect(one.entries).toHaveLength(1);
    one.judge = () => 'store';
    await produce(request(['b']));
    expect(one.values.get(0)).toEqual(['b']);
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

  test('answers OUTCOME_UNKNOWN in-band when the leader breaks off', async () => {
    one.judge = () => 'silence';
    const { frame, results, stream } = openStream();
    frame(1, 'a');
    await until(() => one.entries.length === 1);
    for (const each of one.streams) each.end(new PartitaError('INTERNAL', 'broken'));
    await until(() => results().length === 1);
    expect(outcome(results()[0])).toBe('OUTCOME_UNKNOWN');
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
